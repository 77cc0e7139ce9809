"""The server's command line.

python -m catalyst_dns_embedded serve --data DIR --listen 127.0.0.1:5300 --control 127.0.0.1:5301 --tree omani.works
python -m catalyst_dns_embedded cell --data DIR --listen 127.0.0.1:5310 --zone witness.test --key-file tsig.key
"""

# ruff: noqa: I001 - slim comes first, or it comes too late
from . import slim  # noqa: F401

import argparse
import asyncio
import base64
import gc
import ipaddress
import logging
import signal
import sys
from pathlib import Path
from uuid import uuid4

import dns.exception
import dns.name
import dns.tsig
from catalyst_sdk import PluginFailure
from catalyst_sdk.dns import RecordSet, ZoneSpec

from .authority import Authority
from .control import ControlServer, token
from .remembered import Remembered
from .server import DnsServer
from .store import FolderUnusable, ZoneStore
from .tree import OWNER, plant
from .withheld import Withheld

_HOUR = 3600.0
_LEAST_SECRET = 16


class Misuse(Exception):
    """The command line asks for what cannot be; the message says what."""


async def serve(args: argparse.Namespace) -> None:
    """Serve zones that the control port makes."""
    from .signing import ZoneSigner  # only here: a cell has no use for the cryptography, and is that much smaller

    store = ZoneStore(args.data)
    authority = Authority(store, ZoneSigner())
    server, control = DnsServer(authority, remembered=Remembered(authority)), ControlServer(authority, token(args.data))
    host, port = args.listen
    port = await server.start(host, port)
    if args.tree:
        plant(authority, args.tree, f"{host}:{port}", args.data)
    await control.start(*args.control)
    _say(f"serving {len(authority.names())} zones on {host}:{port}")
    await _until_stopped(authority)
    await control.stop()
    await server.stop()
    store.close()


async def cell(args: argparse.Namespace) -> None:
    """Serve one unsigned zone whose records are changed by signed updates: a lease cell."""
    key = _key(args.key_name, args.key_file)
    store = ZoneStore(args.data)
    authority = Authority(store, None, lowest_ttl=0)
    zone = str(dns.name.from_text(args.zone)).lower()
    identity = f'"id={store.fact("id", str(uuid4()))} inc=1 sw=dns_embedded"'
    host, port = args.listen
    records = (
        RecordSet(f"_cell.{zone}", "TXT", 0, (identity,)),
        RecordSet(f"ns.{zone}", "AAAA" if ":" in host else "A", 0, (host,)),
    )
    authority.create(ZoneSpec(zone, (f"ns.{zone}",), OWNER, records, signed=False, ttl=0, negative_ttl=0))
    withheld = Withheld(authority, dns.name.from_text(zone)) if args.withhold else None
    server = DnsServer(authority, {key.name: key}, withheld)
    port = await server.start(host, port)
    _say(f"cell {args.zone} on {host}:{port}")
    await _until_stopped(authority)
    await server.stop()
    store.close()


async def _until_stopped(authority: Authority) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gc.freeze()
    while not stop.is_set():
        try:
            async with asyncio.timeout(_HOUR):
                await stop.wait()
        except TimeoutError:
            authority.sign_again()


def _key(name: str, file: Path) -> dns.tsig.Key:
    try:
        secret = base64.b64decode(file.read_text().strip(), validate=True)
        owner = dns.name.from_text(name)
    except (ValueError, dns.exception.DNSException) as error:
        raise Misuse(f"{file} holds no base64 secret, or {name!r} is no key name") from error
    if len(secret) < _LEAST_SECRET:
        raise Misuse(f"the secret in {file} is shorter than {_LEAST_SECRET} octets")
    return dns.tsig.Key(owner, secret, dns.tsig.HMAC_SHA256)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not ipaddress.ip_address(host).is_loopback:
        raise argparse.ArgumentTypeError(f"{host} is not a loopback address; this server is for development")
    return host, int(port)


def _domain(text: str) -> str:
    try:
        return str(dns.name.from_text(text)).lower()
    except dns.exception.DNSException as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no domain name") from error


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the log of this process is its output


def main(argv: list[str] | None = None) -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="catalyst_dns_embedded", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, run in (("serve", serve), ("cell", cell)):
        command = commands.add_parser(name, help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("--data", type=Path, required=True, help="folder of this server")
        command.add_argument("--listen", type=_address, required=True, help="address of DNS, ip:port, loopback only")
        if name == "serve":
            command.add_argument("--control", type=_address, required=True, help="address of the control port")
            command.add_argument(
                "--tree", type=_domain, action="append", default=[], help="make root, top level and this pool"
            )
        else:
            command.add_argument("--zone", type=_domain, default="witness.test.", help="zone of the cell")
            command.add_argument(
                "--withhold",
                action="store_true",
                help="after a start, answer no name with a mark until that is written anew",
            )
            command.add_argument("--key-file", type=Path, required=True, help="TSIG secret in base64")
            command.add_argument("--key-name", default="catalyst-witness", help="name of the TSIG key")
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.WARNING)
    try:
        asyncio.run(args.run(args))
    except (OSError, FolderUnusable, Misuse, PluginFailure) as error:
        sys.exit(f"cannot serve: {error}")


if __name__ == "__main__":
    main()

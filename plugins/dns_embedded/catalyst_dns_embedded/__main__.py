"""The server's command line.

python -m catalyst_dns_embedded serve --data DIR --listen 127.0.0.1:5300 --control 127.0.0.1:5301 --tree omani.works
python -m catalyst_dns_embedded cell --data DIR --listen 127.0.0.1:5310 --zone witness.test --key-file tsig.key
"""

import argparse
import asyncio
import gc
import ipaddress
import signal
import sys
from pathlib import Path
from uuid import uuid4

import dns.name
import dns.tsig
from catalyst_sdk.dns import RecordSet, ZoneSpec

from .authority import Authority
from .control import ControlServer, token
from .server import DnsServer
from .store import ZoneStore
from .tree import OWNER, plant

_HOUR = 3600.0


async def serve(args: argparse.Namespace) -> None:
    """Serve zones that the control port makes."""
    store = ZoneStore(args.data)
    authority = Authority(store)
    server, control = DnsServer(authority), ControlServer(authority, token(args.data))
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
    store = ZoneStore(args.data)
    authority = Authority(store)
    zone = str(dns.name.from_text(args.zone))
    identity = f'"id={store.fact("id", str(uuid4()))} inc=1 sw=dns_embedded"'
    marker = RecordSet(f"_cell.{zone}", "TXT", 0, (identity,))
    authority.create(ZoneSpec(zone, (f"ns.{zone}",), OWNER, (marker,), signed=False, ttl=0, negative_ttl=0))
    name = dns.name.from_text(args.key_name)
    key = dns.tsig.Key(name, args.key_file.read_text().strip(), dns.tsig.HMAC_SHA256)
    server = DnsServer(authority, {name: key})
    host, port = args.listen
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
            await asyncio.wait_for(stop.wait(), _HOUR)
        except TimeoutError:
            authority.sign_again()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not ipaddress.ip_address(host).is_loopback:
        raise argparse.ArgumentTypeError(f"{host} is not a loopback address; this server is for development")
    return host, int(port)


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
            command.add_argument("--tree", action="append", default=[], help="make root, top level and this pool")
        else:
            command.add_argument("--zone", default="witness.test", help="zone of the cell")
            command.add_argument("--key-file", type=Path, required=True, help="TSIG secret in base64")
            command.add_argument("--key-name", default="catalyst-witness", help="name of the TSIG key")
    args = parser.parse_args(argv)
    try:
        asyncio.run(args.run(args))
    except OSError as error:
        sys.exit(f"cannot serve: {error}")


if __name__ == "__main__":
    main()

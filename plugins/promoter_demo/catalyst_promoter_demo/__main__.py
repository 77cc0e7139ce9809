"""The demo application's command line.

python -m catalyst_promoter_demo init --folder DIR --region sb-east-rtz-dev
python -m catalyst_promoter_demo serve --folder DIR --region sb-east-rtz-dev --database 127.0.0.1:7501 \
    --gateway 127.0.0.1:7502 --peer sb-west-rtz-dev=127.0.0.1:7511 --token-file demo.token --dead-man deadman.json
python -m catalyst_promoter_demo gateway --folder DIR --region sb-east-rtz-dev --gateway 127.0.0.1:7502 \
    --postgres postgresql://postgres@127.0.0.1:7521/postgres --token-file demo.token --dead-man deadman.json

`init` makes the first copy, once, in one region; every other region copies it when it is told to follow. A region that lost its
folder is not made anew by `init`, but by following.
"""

import argparse
import asyncio
import ipaddress
import logging
import sys
from pathlib import Path

from .serving import Address, Settings, found, serve, stand_before
from .store import FolderUnusable


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    try:
        if not ipaddress.ip_address(host).is_loopback or not 0 <= int(port) < 65536:
            raise ValueError
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no loopback address with a port, such as 127.0.0.1:7501"
        ) from error
    return host, int(port)


def _peer(text: str) -> tuple[str, str]:
    region, sign, address = text.partition("=")
    if not (region and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is no peer, such as sb-west-rtz-dev=127.0.0.1:7511")
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        raise argparse.ArgumentTypeError(f"{address!r} is no address with a port")
    return region, address


def _settings(args: argparse.Namespace) -> Settings:
    return Settings(
        args.folder, args.region, args.database, args.gateway, dict(args.peer), args.token_file, args.dead_man
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Make the first copy, or serve."""
    parser = argparse.ArgumentParser(prog="python -m catalyst_promoter_demo")
    commands = parser.add_subparsers(required=True, dest="command")
    known = {
        "init": "make the first copy of the database",
        "serve": "serve one region",
        "gateway": "serve a gateway alone, before PostgreSQL",
    }
    for name, help in known.items():
        command = commands.add_parser(name, help=help)
        command.add_argument("--folder", type=Path, required=True, help="where the region's database lies")
        command.add_argument("--region", required=True, help="name of the region's host cluster")
        if name == "init":
            continue
        command.add_argument("--gateway", type=_address, required=True, help="where the gateway listens")
        command.add_argument("--token-file", type=Path, required=True, help="secret of all regions and agents")
        command.add_argument("--dead-man", type=Path, help="file by which the agent vouches for the region's writers")
        if name == "gateway":
            command.add_argument("--postgres", required=True, help="postgresql:// address of the region's server")
            continue
        command.add_argument("--database", type=_address, required=True, help="where the database listens")
        command.add_argument(
            "--peer", type=_peer, action="append", default=[], help="REGION=HOST:PORT of another database"
        )
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.WARNING)
    try:
        if args.command == "init":
            print(found(args.folder, args.region))  # noqa: T201 - what was asked for
        elif args.command == "gateway":
            args.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            asyncio.run(
                stand_before(args.postgres, args.region, args.gateway, args.folder, args.token_file, args.dead_man)
            )
        else:
            asyncio.run(serve(_settings(args)))
    except (OSError, FolderUnusable) as error:
        sys.exit(f"cannot {args.command}: {error}")


if __name__ == "__main__":
    main()

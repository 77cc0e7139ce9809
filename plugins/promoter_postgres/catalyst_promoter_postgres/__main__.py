"""Starts and ends the server of one region, for whoever supervises it.

python -m catalyst_promoter_postgres init --config promoter.json --region sb-east-rtz-dev
python -m catalyst_promoter_postgres start --config promoter.json --region sb-east-rtz-dev

`init` makes the first copy of a database, once, in one region. `start` starts a server as a standby: it takes writes only when
an agent promotes it. `promoter.json` is the plugin's configuration.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from catalyst_sdk import PluginFailure

from .place import Configured, configured
from .server import Server


def main(argv: list[str] | None = None) -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m catalyst_promoter_postgres")
    parser.add_argument("command", choices=("init", "start", "stop"))
    parser.add_argument("--config", type=Path, required=True, help="file with the plugin's configuration, in JSON")
    parser.add_argument("--region", required=True, help="region whose server lies on this machine")
    args = parser.parse_args(argv)
    try:
        asyncio.run(_do(args.command, configured(json.loads(args.config.read_text())), args.region))
    except (OSError, ValueError, KeyError, PluginFailure) as error:
        sys.exit(f"cannot {args.command}: {error}")


async def _do(command: str, told: Configured, region: str) -> None:
    server = Server(told, told.place(region))
    await {"init": server.found, "start": server.start, "stop": server.stop}[command]()


if __name__ == "__main__":
    main()

"""`python -m catalyst_cloud_sandbox`: power, status and faults of a sandbox in a folder."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from . import faults, keeper
from .account import NAME, Account


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 2 usage, 3 no such account."""
    options = _parser().parse_args(arguments)
    folder = Path(options.folder)
    if options.command == "fault":
        return _fault(options, folder)
    if options.command == "status":
        found = keeper.report(folder)
        if options.output == "json":
            sys.stdout.write(json.dumps(found, indent=1) + "\n")
        else:
            _print(options, found["servers"])
        return 0
    act = {"keep": keeper.keep, "power-off": keeper.power_off, "power-on": keeper.power_on}[options.command]
    _print(options, [{"id": id, "simulated": True} for id in act(folder)])
    return 0


def _fault(options: argparse.Namespace, folder: Path) -> int:
    if options.account not in [account.name for account in keeper.accounts(folder)] and options.action != "add":
        sys.stderr.write(f"there is no simulated account {options.account} in {folder}\n")
        return 3
    account = Account(folder, options.account)
    if options.action == "add":
        given = ("operation", "kind", "region", "name", "times", "delay", "probability", "seed", "nth")
        fault = faults.Fault(options.effect, **{key: getattr(options, key) for key in given})
        _print(options, [asdict(fault) | {"id": account.arm(fault)}])
    elif options.action == "list":
        with account.store.begin() as tx:
            _print(options, [asdict(fault) for fault in faults.listed(tx)])
    else:
        _print(options, [{"cleared": account.disarm()}])
    return 0


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--folder", required=True, help="the plugin's folder")
    common.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser = argparse.ArgumentParser(prog="python -m catalyst_cloud_sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status", parents=[common], help="the servers that are, or should be, processes")
    commands.add_parser("keep", parents=[common], help="start what died, end what is gone; once")
    commands.add_parser("power-off", parents=[common], help="end all processes; the store stays")
    commands.add_parser("power-on", parents=[common], help="start the servers again")
    fault = commands.add_parser("fault", help="what shall go wrong").add_subparsers(dest="action", required=True)
    for action in ("add", "list", "clear"):
        sub = fault.add_parser(action, parents=[common])
        sub.add_argument("--account", required=True, type=_account)
        if action == "add":
            _fault_options(sub)
    return parser


def _fault_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("effect", choices=faults.EFFECTS + faults.COMPONENT_EFFECTS)
    parser.add_argument("--operation", default="create", choices=("create", "update", "delete", "list", "power", ""))
    parser.add_argument("--kind", default="")
    parser.add_argument("--region", default="")
    parser.add_argument("--name", default="", help="name of the resource or component, with * and ?")
    parser.add_argument("--times", type=int, default=1, help="how many calls; -1: all")
    parser.add_argument(
        "--delay", type=float, default=1.0, help="seconds, for slow, slow_install, eventual, rate_limit"
    )
    parser.add_argument("--probability", type=float, default=1.0, help="part of the matching calls that it meets")
    parser.add_argument("--seed", type=int, default=0, help="which part that is")
    parser.add_argument("--nth", type=int, default=0, help="only this matching call, counted from 1")


def _account(name: str) -> str:
    if not NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r} is not the name of an account: {NAME.pattern}")
    return name


def _print(options: argparse.Namespace, rows: Sequence[dict[str, object]]) -> None:
    if options.output == "json":
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    if rows:
        sys.stdout.write("  ".join(rows[0]).upper() + "\n")
    for row in rows:
        sys.stdout.write("  ".join(str(value) for value in row.values()) + "\n")


if __name__ == "__main__":
    sys.exit(main())

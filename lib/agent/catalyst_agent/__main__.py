"""`catalyst-agent enrol | report | install | run`: what the first boot of a server calls, and the service that stays."""

import argparse
import asyncio
import fcntl
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from . import VERSION, enrolment, files, identity, stages
from .kube import Kube
from .line import LOOK, Line
from .machine import Machine

HOME = Path("/etc/catalyst")
KUBECTL = "/usr/local/bin/k3s kubectl"
UNIT = "etc/systemd/system/catalyst-agent.service"
SERVICE = """[Unit]
Description=Agent of Catalyst
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={program} run
Restart=always
RestartSec=5s
UMask=0077

[Install]
WantedBy=multi-user.target
"""
PATIENCE = 10.0
"""Seconds for which a stage of the boot waits to be confirmed, before the boot goes on."""


def main(words: Sequence[str] | None = None) -> int:
    """One command; 0 where it is done. Without `words`, those of the command line."""
    asked = _parser().parse_args(words)
    try:
        return int(asked.do(asked))
    except KeyboardInterrupt:
        return 130


def enrol(asked: argparse.Namespace) -> int:
    """Enrol, once in the life of the server; a second time changes nothing."""
    if identity.load(asked.into):
        return 0
    try:
        here = enrolment.born(asked.enrolment)
        asyncio.run(
            enrolment.enrol(here, asked.into, server_id=asked.server_id, addresses=asked.address, pause=asked.pause)
        )
    except enrolment.NotEnrolled as why:
        print(f"not enrolled: {why}", file=sys.stderr)  # noqa: T201 - a command line
        return 1
    return 0


def report(asked: argparse.Namespace) -> int:
    """Tell of a stage of the first boot, at once if there is a line, else with the next."""
    stages.keep(asked.home, asked.stage, asked.state, _tail(asked.log, asked.lines))
    me = identity.load(asked.home)
    if me:
        with _alone(asked.home) as is_alone:
            if is_alone:  # else the service is there, and takes it
                asyncio.run(Line(asked.home, Kube([]), me).deliver(PATIENCE))
    return 0


def run(asked: argparse.Namespace) -> int:
    """Keep the line up for ever."""
    me = identity.load(asked.home)
    if me is None:
        print(f"{asked.home} holds no identity: this server has not enrolled", file=sys.stderr)  # noqa: T201
        return 1
    with _alone(asked.home) as is_alone:
        if not is_alone:
            print("another agent is at work here", file=sys.stderr)  # noqa: T201 - a command line
            return 1
        machine = Machine(k3s=asked.k3s, token=asked.token, service=tuple(shlex.split(asked.restart)))
        asyncio.run(Line(asked.home, Kube(shlex.split(asked.kubectl)), me, machine=machine, look=asked.look).run())
    return 0


def install(asked: argparse.Namespace) -> int:
    """Write the unit of the service; systemd is told by the first boot."""
    files.write(asked.root / UNIT, SERVICE.format(program=asked.program), mode=0o644)
    return 0


@contextmanager
def _alone(home: Path) -> Iterator[bool]:
    """One process at a time numbers reports."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "agent.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _tail(log: Path | None, lines: int) -> list[str]:
    with suppress(OSError):
        if log is not None:
            return log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="catalyst-agent", description=__doc__)
    parser.add_argument("--version", action="version", version=VERSION)
    words = parser.add_subparsers(required=True)
    one = words.add_parser("enrol", help="once in the life of a server")
    one.add_argument("--enrolment", type=Path, default=HOME / "enrolment.json", help="where and with which token")
    one.add_argument("--server-id", required=True, help="what the cloud calls this server")
    one.add_argument("--address", action="append", default=[], help="private address of this server")
    one.add_argument("--into", type=Path, default=HOME)
    one.add_argument("--pause", type=float, default=enrolment.PAUSE, help="seconds between two tries")
    one.set_defaults(do=enrol)
    one = words.add_parser("report", help="tell of a stage of the first boot")
    one.add_argument("--stage", required=True, choices=stages.ORDER)
    one.add_argument("--state", required=True, choices=sorted(stages.STATES))
    one.add_argument("--log", type=Path)
    one.add_argument("--lines", type=int, default=100)
    one.add_argument("--home", type=Path, default=HOME)
    one.set_defaults(do=report)
    one = words.add_parser("run", help="the service")
    one.add_argument("--home", type=Path, default=HOME)
    one.add_argument("--kubectl", default=KUBECTL, help="program that asks the cluster")
    one.add_argument(
        "--k3s", type=Path, default=Machine().k3s, help="program that an upgrade puts another one in place of"
    )
    one.add_argument("--token", type=Path, default=Machine().token, help="where k3s keeps its servers' token")
    one.add_argument("--restart", default=shlex.join(Machine().service), help="how the service of k3s is started anew")
    one.add_argument("--look", type=float, default=LOOK, help="seconds between two looks at the cluster")
    one.set_defaults(do=run)
    one = words.add_parser("install", help="write the unit of the service")
    one.add_argument("--program", default="/usr/local/bin/catalyst-agent")
    one.add_argument("--root", type=Path, default=Path("/"))
    one.set_defaults(do=install)
    return parser


if __name__ == "__main__":
    sys.exit(main())

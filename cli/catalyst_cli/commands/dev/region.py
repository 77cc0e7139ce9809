"""`catalyst dev region kill|pause|resume|cut|heal|start`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.output import Form, Output, show

from .asking import Folder, asked

COLUMNS = {"REGION": "name", "STATE": "state", "CUT FROM": "cut_from", "GATEWAY": "gateway", "PIDS": "processes"}
Name = Annotated[str, typer.Argument(help="A host cluster, or its place: sb-east-rtz-dev or east.", metavar="REGION")]


class Source(StrEnum):
    """Values of `--from`."""

    CELLS = "cells"
    PEERS = "peers"
    ALL = "all"


def kill(region: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """kill -9 every process of a region at once; they stay dead until `start`.

    Examples:

        catalyst dev region kill east
    """
    _do("kill", region, data_dir, output)


def pause(region: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """Freeze every process of a region, as a machine that swaps or a hypervisor that moves it does.

    Examples:

        catalyst dev region pause east
    """
    _do("pause", region, data_dir, output)


def resume(region: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """Let a frozen region go on.

    Examples:

        catalyst dev region resume east
    """
    _do("resume", region, data_dir, output)


def cut(
    region: Name,
    source: Annotated[Source, typer.Option("--from", help="What it can no longer reach.")] = Source.ALL,
    one_way: Annotated[
        bool, typer.Option("--one-way", help="What it sends arrives; what comes to it is lost.")
    ] = False,
    data_dir: Folder = None,
    output: Output = Form.TABLE,
) -> None:
    """Cut a region off, as a cable is cut: nothing is refused, nothing answers.

    Examples:

        catalyst dev region cut east --from cells

        catalyst dev region cut east --from all --one-way
    """
    _do("cut", region, data_dir, output, source=source.value, one_way=one_way)


def heal(region: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """Make every line of a region whole again; what was held arrives late.

    Examples:

        catalyst dev region heal east
    """
    _do("heal", region, data_dir, output)


def start(region: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """Start a region that was killed; it has what it had on disk.

    Examples:

        catalyst dev region start east
    """
    _do("start", region, data_dir, output)


def _do(what: str, region: str, folder: Path | None, output: Form, **more: Any) -> None:
    row = asked(folder, f"region.{what}", name=region, **more)
    pids = [f"{part} {pid}" for part, pid in row["pids"].items()]
    show(output, row, COLUMNS, [{**row, "processes": pids}])

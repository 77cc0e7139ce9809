"""What stands in an image: everything that its daemon needs, and nothing of another's."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from chartmaker.closure import ROOT, Closure, closure
from chartmaker.daemons import found

FOLDERS = [daemon.folder for daemon in found()]
PLUGINS = (
    "from importlib.metadata import entry_points; [each.load() for each in entry_points(group='catalyst.plugins')]"
)
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


@cache
def image(daemon: str) -> Closure:
    return closure(daemon)


def names(daemon: str) -> set[str]:
    return {entry.split("==")[0] for entry in image(daemon).locked}


@pytest.mark.parametrize("daemon", FOLDERS)
def test_an_image_holds_its_daemon_and_no_other(daemon: str) -> None:
    own = [path.relative_to(ROOT).parts for path in image(daemon).own]
    assert [parts[1] for parts in own if parts[0] == "services"] == [daemon]
    assert ("lib", "mesh") in own
    assert ("lib", "testkit") not in own


@pytest.mark.parametrize("daemon", FOLDERS)
def test_an_image_holds_no_tool_of_developers(daemon: str) -> None:
    assert not names(daemon) & {"pytest", "mypy", "ruff", "playwright", "hypothesis", "grpcio-tools", "pip", "typer"}
    assert {"grpcio", "sqlalchemy", "greenlet", "asyncpg"} <= names(daemon)


def test_what_only_one_needs_stands_in_its_image_alone() -> None:
    assert [daemon for daemon in FOLDERS if "stripe" in names(daemon)] == ["billing"]
    assert [daemon for daemon in FOLDERS if "resolvelib" in names(daemon)] == ["catalog"]


def test_a_daemon_that_is_none_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "script/closure", "ledger"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "closure: services/ledger\n")


@pytest.mark.skipif(not LONG, reason="six environments are made: HYPOTHESIS_PROFILE=long")
@pytest.mark.parametrize("daemon", FOLDERS)
def test_an_image_is_enough_for_its_daemon(daemon: str, tmp_path: Path) -> None:
    subprocess.run(["script/image", daemon, str(tmp_path / "image")], cwd=ROOT, check=True, capture_output=True)
    for words in (["daemon", "--print-config"], ["python", "-c", PLUGINS]):
        program = tmp_path / "image" / "bin" / words[0]
        done = subprocess.run(
            [program, *words[1:]],
            env={"PATH": os.environ["PATH"]},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

"""`catalyst` as a process: whatever becomes of its streams and arguments, it ends in a line and an exit code."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from catalyst_cli.help import folded
from catalyst_cli.tree import build
from typer.testing import CliRunner

SCHEMA = ("resource", "schema", "Application")


def catalyst(*arguments: str | bytes, shell: str = "") -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own; `shell` is what the shell does with its streams."""
    words = ["sh", "-c", f'"$0" -m catalyst_cli "$@" {shell}', sys.executable, *arguments]
    return subprocess.run(words, capture_output=True, check=False)


def test_a_full_disk_is_said_in_a_line() -> None:
    done = catalyst(*SCHEMA, shell=">/dev/full")
    assert (done.returncode, done.stderr) == (1, b"error: No space left on device\n")


def test_where_nobody_reads_nothing_is_said() -> None:
    closed = catalyst(*SCHEMA, shell=">&-")
    assert (closed.returncode, closed.stderr) == (0, b"")
    cut = catalyst(*SCHEMA, shell="| head -n 1")
    assert (cut.stdout, cut.stderr) == (b"{\n", b"")


def test_an_argument_that_is_no_text_is_refused() -> None:
    done = catalyst("sovereign", "get", b"\xff")
    assert (done.returncode, done.stderr) == (2, b"error: the argument b'\\xff' is no UTF-8\n")


def test_it_tells_its_version() -> None:
    assert CliRunner().invoke(build(), ["--version"]).stdout == f"catalyst {version('catalyst-cli')}\n"


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (80, ["catalyst x --file a.yaml --why 'b c d'"]),
        (30, ["catalyst x --file a.yaml \\", "    --why 'b c d'"]),
        (12, ["catalyst x \\", "    --file a.yaml \\", "    --why 'b c d'"]),
    ],
)
def test_an_example_is_broken_as_a_shell_takes_it(width: int, lines: list[str]) -> None:
    assert list(folded("catalyst x --file a.yaml --why 'b c d'", width)) == lines


def test_help_shows_each_example_so_that_it_can_be_copied() -> None:
    shown = CliRunner().invoke(build("sovereign"), ["sovereign", "create", "--help"], env={"COLUMNS": "80"}).stdout
    assert "      catalyst sovereign create --file sovereign.yaml --voucher FIRST-SOVEREIGN\n" in shown or (
        "      catalyst sovereign create --file sovereign.yaml \\\n          --voucher FIRST-SOVEREIGN\n" in shown
    )

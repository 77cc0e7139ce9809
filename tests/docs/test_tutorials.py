"""Tutorials are done as they are written, step by step, in an empty folder; those that need a mesh, beside one in tests/e2e."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

PAGES = sorted(
    path for path in Path("docs/tutorials").glob("*.md") if "```sh first" not in path.read_text()
)  # fmt: skip - one thought
STEP = re.compile(r"^```(\w+)( fails)?\n(.*?)^```$", re.S | re.M)


class Reader:
    """Somebody who does what the page says. The shell stays in the folder to which it went."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])

    def run(self, script: str, *, fails: bool) -> None:
        told = f"set -e\ncd '{self.home}'\n{script}"
        where = self._shell(f"{told}\npwd" if not fails else told)
        assert (where.returncode != 0) == fails, f"{script}\n{where.stdout[-3000:]}{where.stderr[-1000:]}"
        if not fails:
            self.home = Path(where.stdout.splitlines()[-1])

    def patch(self, diff: str) -> None:
        done = subprocess.run(
            ["git", "apply", "-"], input=diff, cwd=self.home, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{diff}\n{done.stderr}"

    def sees(self, snippet: str) -> bool:
        """Whether the snippet stands in a file that is there at this step."""
        return any(snippet in path.read_text() for path in self.home.rglob("*.py"))

    def _shell(self, script: str) -> "subprocess.CompletedProcess[str]":
        env = {**os.environ, "PATH": self.path}
        return subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=480, check=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_comes_out_as_it_says(page: Path, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    steps = STEP.findall(page.read_text())
    assert {kind for kind, _, _ in steps} <= {"sh", "python", "diff", "json"}
    for kind, fails, text in steps:
        if kind == "sh":
            reader.run(text, fails=bool(fails))
        elif kind == "diff":
            reader.patch(text)
        elif kind == "python":
            assert reader.sees(text), text


def test_there_are_tutorials() -> None:
    assert PAGES

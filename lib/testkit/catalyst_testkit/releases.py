"""The release before this one, as it was: its code and its chart, out of the history of this repository."""

import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

EARLIER = "e6ffaa97731455ccd943774f6ffc890f4ef6fb67"
"""What plays the release before as long as there is no tag: a commit that four daemons have revisions since."""


def earlier(root: Path) -> str:
    """The last tag, or where there is none yet the commit above; skips the test in a copy without that history."""
    for question in (("describe", "--tags", "--abbrev=0"), ("rev-parse", "--verify", f"{EARLIER}^{{commit}}")):
        done = subprocess.run(["git", "-C", str(root), *question], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    pytest.skip("a copy without its history has no earlier release")


def unpack(root: Path, ref: str, into: Path, *paths: str) -> Path:
    """These paths of the repository as they were at `ref`; the folder in which they stand."""
    archive = subprocess.run(
        ["git", "-C", str(root), "archive", "--format=tar", ref, *paths], capture_output=True, check=True
    )  # fmt: skip - one command
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(into, filter="data")
    return into


def code(tree: Path) -> Sequence[Path]:
    """Where modules of a whole tree are found, but for the testkit, which is not released."""
    return [path.parent for path in sorted(tree.glob("*/*/pyproject.toml")) if path.parent.name != "testkit"]

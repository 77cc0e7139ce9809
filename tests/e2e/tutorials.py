"""Tutorials that need a mesh, done beside one that runs already."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

from .devs import Dev

_STEP = re.compile(r"^```(\w+[^\n]*)\n(.*?)^```$", re.S | re.M)


def steps(name: str) -> list[str]:
    """What the tutorial has its reader type, but for the first block, which makes the mesh: that is the dev of the test."""
    blocks = _STEP.findall((Path("docs/tutorials") / f"{name}.md").read_text())
    assert [kind for kind, _ in blocks] == ["sh first", *["sh"] * (len(blocks) - 1)]
    assert blocks[0][1].splitlines()[-1].startswith("catalyst dev")
    return [text for _, text in blocks[1:]]


def done(dev: Dev, step: str, *, within: float = 480) -> str:
    """What a step printed. Raises AssertionError where one of its commands fails."""
    environment = {**dev.environment, "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])}
    ended = subprocess.run(
        ["bash", "-e", "-c", step], env=environment, capture_output=True, text=True, timeout=within, check=False
    )  # fmt: skip - one call
    assert ended.returncode == 0, f"{step}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    return ended.stdout

"""PostgreSQL's programs as children: none outlives the call that started it, but for the server itself."""

import asyncio
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from catalyst_sdk import Temporary

from .place import PROVIDER

LOOK = 0.02
"""Seconds between two looks whether a program has ended."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a program ended."""

    code: int
    text: str


async def run(command: Sequence[str], *, within: float, cwd: Path) -> Said:
    """Run a program to its end. Raises Temporary where it takes too long, or is not there.

    Its end is looked for, not waited for: under uvloop and beside gRPC, whose handlers run at each fork, the end of a program
    that leaves a server behind was heard of seconds late or not at all.
    """
    with TemporaryFile() as out:
        child = _begun(command, cwd, out)
        try:
            for _ in range(max(1, round(within / LOOK))):
                if child.poll() is not None:
                    break
                await asyncio.sleep(LOOK)
            else:
                raise Temporary(f"{command[0]} did not end within {within:.0f} s", provider=PROVIDER)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        out.seek(0)
        return Said(child.returncode, out.read().decode(errors="replace").strip())


def _begun(command: Sequence[str], cwd: Path, out: IO[bytes]) -> "subprocess.Popen[bytes]":
    env = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": str(cwd)}
    try:
        return subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )  # fmt: skip - one call
    except OSError as error:
        raise Temporary(f"{command[0]} cannot be run: {error.strerror}", provider=PROVIDER) from error

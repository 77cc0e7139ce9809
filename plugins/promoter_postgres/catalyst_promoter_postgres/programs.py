"""PostgreSQL's programs as children: none outlives the call that started it, but for the server itself."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from catalyst_sdk import Temporary

from .place import PROVIDER


@dataclass(frozen=True, slots=True)
class Said:
    """How a program ended."""

    code: int
    text: str


async def run(command: Sequence[str], *, within: float, cwd: Path) -> Said:
    """Run a program to its end. Raises Temporary where it takes too long, or is not there."""
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        )  # fmt: skip - one call
    except OSError as error:
        raise Temporary(f"{command[0]} cannot be run: {error.strerror}", provider=PROVIDER) from error
    try:
        async with asyncio.timeout(within):
            out, _ = await child.communicate()
    except TimeoutError as error:
        raise Temporary(f"{command[0]} did not end within {within:.0f} s", provider=PROVIDER) from error
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    assert child.returncode is not None
    return Said(child.returncode, out.decode(errors="replace").strip())

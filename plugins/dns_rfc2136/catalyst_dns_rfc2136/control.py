"""Zones made and deleted over the control channel of a server on this machine: what no update can do (RFC 2136, section 1).

A zone is made from a file that holds all of it, so that it is never seen half. Each one gets a folder of its own, in which its
file, its journal and, with BIND, its keys lie: a zone that is made again after it was deleted inherits nothing.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from catalyst_sdk import NotSupported, Permanent, Temporary

from .wire import PROVIDER

_SECONDS = 10.0
"""For one command; a server that reads many zones is slow to answer."""
_QUOTED = 256


class Control(Protocol):
    """The control channel of one kind of server."""

    async def has(self, zone: str) -> bool:
        """Whether the server is configured with the zone. Raises Temporary."""
        ...

    async def add(self, zone: str, folder: Path, *, signed: bool) -> bool:
        """Configure the zone from the file `zone` in `folder`; False where the server has one of that name already."""
        ...

    async def sign(self, zone: str) -> None:
        """Have the server look at the keys of a zone that it has not signed. Raises Temporary."""
        ...

    async def delete(self, zone: str) -> None:
        """Take the zone out of the configuration; taking out what is not there is fine."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """What a program said."""

    code: int
    text: str

    def failure(self, what: str) -> Temporary:
        """It could not be done; its own words."""
        said = "".join(c if c.isprintable() else " " for c in self.text[:_QUOTED]).strip()
        return Temporary(f"{what}: {said}", provider=PROVIDER, provider_code=str(self.code))


async def run(*command: str, package: str, typed: str = "") -> Done:
    """Run a program to its end, with `typed` at its input: at most what a pipe holds (64 KiB, pipe(7)). Raises NotSupported where
    it is not there, Temporary."""
    program = shutil.which(command[0], path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if program is None:
        raise NotSupported(
            "zone_lifecycle",
            f"the program {command[0]} is not there",
            provider=PROVIDER,
            user_action=f"install the package {package} beside the daemon",
        )
    with _typed(typed) as given:
        process = await asyncio.create_subprocess_exec(
            program, *command[1:], stdin=given, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    try:
        async with asyncio.timeout(_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise Temporary(f"{command[0]} did not end in time", provider=PROVIDER) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Done(process.returncode or 0, said.decode(errors="replace"))


@contextmanager
def _typed(text: str) -> Iterator[int]:
    """An input that has all of it already: to write while the program runs fails where it has ended before (uvloop)."""
    reading, writing = os.pipe()
    try:
        try:
            os.set_blocking(writing, False)
            if os.write(writing, text.encode()) < len(text.encode()):
                raise ValueError("the input is longer than a pipe holds")
        finally:
            os.close(writing)
        yield reading
    finally:
        os.close(reading)


class Folders:
    """The folder that plugin and server share."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def make(self, zone: str, text: str) -> Path:
        """A new folder with the file `zone`; the server's group may write there. Raises Permanent, Temporary."""
        if not self._home.is_dir():
            raise Permanent(
                "CREDENTIALS_REJECTED",
                f"the folder {self._home} is not there",
                provider=PROVIDER,
                user_action="make it, writable for the daemon and for the server's group, with the set-group-id bit",
            )
        folder = self._home / f"{zone}~{secrets.token_hex(4)}"
        try:
            folder.mkdir()
            folder.chmod(0o2770)
            (folder / "zone").write_text(text)
            (folder / "zone").chmod(0o660)
        except OSError as error:
            raise Temporary(f"no zone file can be written: {error.strerror}", provider=PROVIDER) from error
        return folder

    def clear(self, zone: str, *, but: Path | None = None) -> None:
        """Remove what zones of that name have left, keys too."""
        for folder in self._home.glob(f"{_plain(zone)}~*"):
            if folder != but:
                shutil.rmtree(folder, ignore_errors=True)


def _plain(zone: str) -> str:
    """The name for a pattern that means only itself."""
    return zone.replace("*", "[*]")

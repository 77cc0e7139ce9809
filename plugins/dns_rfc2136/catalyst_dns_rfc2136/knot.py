"""Knot's control socket: `knotc`. The server needs a configuration database, or it forgets such zones at its restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from catalyst_sdk import Temporary

from .control import Done, run
from .wire import PROVIDER

_TRIES, _PAUSE = 40, 0.1
"""How often, and after how many seconds, the one transaction of the server's configuration is asked for."""
_ABSENT = ("no such zone found", "invalid identifier")


class Knot:
    """Implements `control.Control`.

    socket     the control socket
    template   of new zones; its acl lets the key update and transfer
    policy     policy that signs new zones; None: they are not signed
    """

    def __init__(self, socket: str, template: str, policy: str | None) -> None:
        self._socket = socket
        self._template = template
        self._policy = policy
        self._turn = asyncio.Lock()

    async def has(self, zone: str) -> bool:
        """Whether the server is configured with the zone."""
        done = await self._knotc("zone-status", zone)
        if done.code and not _is_absent(done):
            raise done.failure("Knot was asked for a zone")
        return done.code == 0

    async def add(self, zone: str, folder: Path, *, signed: bool) -> bool:
        """Configure the zone."""
        if await self.has(zone):
            return False
        # What a former zone of this name has left: its journal would be put on top of the new file.
        await self._knotc("-f", "zone-purge", zone, "+orphan")
        is_signed = signed and self._policy is not None
        lines = [
            f"conf-set zone[{zone}]",
            f"conf-set zone[{zone}].template {self._template}",
            f'conf-set zone[{zone}].file "{folder}/zone"',
            f"conf-set zone[{zone}].dnssec-signing {'on' if is_signed else 'off'}",
        ]
        if is_signed:
            lines.append(f"conf-set zone[{zone}].dnssec-policy {self._policy}")
        await self._change(lines, f"Knot does not take {zone}")
        return True

    async def sign(self, zone: str) -> None:
        """Look at the keys."""
        done = await self._knotc("zone-keys-load", zone)
        if done.code:
            raise done.failure(f"Knot does not sign {zone}")

    async def delete(self, zone: str) -> None:
        """Take the zone out, then its journal and its keys."""
        if await self.has(zone):
            await self._change([f"conf-unset zone[{zone}]"], f"Knot keeps {zone}")
        await self._knotc("-f", "zone-purge", zone, "+orphan")

    async def _change(self, lines: list[str], what: str) -> None:
        """All lines in one transaction of the configuration."""
        async with self._transaction():
            done = await self._typed(lines)
            if done.code or "error:" in done.text:
                raise done.failure(what)
            done = await self._knotc("conf-commit")
            if done.code:
                raise done.failure(what)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        """The server's only one. Whoever died in the middle of it has left it open: after a while it is taken from him."""
        async with self._turn:
            for _ in range(_TRIES):
                begun = await self._knotc("conf-begin")
                if "too many transactions" not in begun.text:
                    break
                await asyncio.sleep(_PAUSE)
            else:
                await self._knotc("conf-abort")
                raise Temporary("somebody else left a change of Knot's configuration open", provider=PROVIDER)
            if begun.code:
                raise begun.failure("Knot's configuration cannot be changed")
            try:
                yield
            except BaseException:
                await asyncio.shield(self._knotc("conf-abort"))
                raise

    async def _typed(self, lines: list[str]) -> Done:
        return await self._knotc(typed="".join(f"{line}\n" for line in lines))

    async def _knotc(self, *words: str, typed: str = "") -> Done:
        return await run("knotc", "-s", self._socket, *words, package="knot", typed=typed)


def _is_absent(done: Done) -> bool:
    return any(text in done.text for text in _ABSENT)

"""Keys by which billing signs: rows of its database, sealed, so that replicas sign alike and none is lost with its pod."""

import os
from functools import partial
from pathlib import Path

from catalyst_mesh import Sealer, Work, sealed_at

from .store import Store
from .store.tables import own_key


class Keys:
    """What this daemon signs by, each by its name."""

    def __init__(self, work: Work[Store], sealer: Sealer, folder: Path) -> None:
        """folder   where a release before kept them as files, `<name>.key`, 32 bytes in hex"""
        self._work = work
        self._sealer = sealer
        self._folder = folder

    async def of(self, name: str) -> bytes:
        """The key; what the first replica that ever asked had in its file, or drew, is everybody's. Raises Unsealable."""
        return self._sealer.open(await self._work.again(partial(self._sealed, name)), sealed_at(own_key.c.sealed, name))

    async def _sealed(self, name: str, tx: Store) -> bytes:
        held = await tx.own_key(name)
        if held is None:
            held = self._sealer.seal(self._first(name), sealed_at(own_key.c.sealed, name))
            await tx.keep_own_key(name, held)
        return held

    def _first(self, name: str) -> bytes:
        file = self._folder / f"{name}.key"
        return bytes.fromhex(file.read_text().strip()) if file.exists() else os.urandom(32)

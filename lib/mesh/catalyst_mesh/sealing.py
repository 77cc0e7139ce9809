"""Secrets at rest: each value under a key of its own, which is sealed by a key that only this daemon reads.

A keyring is a file of such keys, one a line, the newest last. Sealing takes the newest, opening any of them; a sealed
value names the key that it needs. A new key is added by `rotate`; running daemons see it at the next value.

Invariants
  its own place  what a binding key sealed opens at the place for which it was sealed, and nowhere else: whoever may write
                 rows and not read the keyring cannot have one row's secret used as another's;
  no way back    a binding key opens nothing that is not bound, so the older forms end with the older keys.

The keys of earlier releases bind nothing and cannot be told to, because those releases go on beside this one while it is
installed. A line of the ring begins with `bound:` where its key does; every key that this release makes is such a one.
"""

import fcntl
import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, Table

_NONCE = 12
BOUND = b"CSL3"
"""Begins a value that a binding key sealed."""
MARK = b"CSL2"
"""Begins a value that names its key, which binds nothing; values without either were sealed by the first form, by such a
key directly."""
MARKS = (BOUND, MARK)
ID = 8
"""Bytes that name a key, after the mark."""
KEY = 32
"""Bytes of each key."""
_WRAPPED = _NONCE + KEY + 16
_BINDS = "bound:"


SEALED = {"sealed": True}
"""`info` of a column that holds sealed values: `Column("token", LargeBinary, info=SEALED)`; see `resealing`."""


def sealed_at(column: Column[Any], *key: object) -> bytes:
    """Where a value is kept: the column, and the primary key of its row in the order of the table."""
    table = column.table
    assert isinstance(table, Table)
    if len(key) != len(table.primary_key.columns):
        raise TypeError(f"a row of {table.name} is named by {', '.join(c.name for c in table.primary_key.columns)}")
    return json.dumps([table.name, column.name, *map(str, key)]).encode()


class Unopened(InvalidTag):
    """No key of the ring sealed this value, or not for this place: it was changed, moved, or its key is gone."""

    def __init__(self, place: bytes) -> None:
        where = place.decode(errors="replace")
        super().__init__(f"what stands at {where} was not sealed for that place by a key of the ring")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a ring."""

    raw: bytes
    binds: bool = True

    @property
    def id(self) -> bytes:
        """By which values name it; the same bytes with and without binding are two keys."""
        return hashlib.sha256(_BINDS.encode() + self.raw if self.binds else self.raw).digest()[:ID]

    @property
    def head(self) -> bytes:
        """How what it seals begins."""
        return (BOUND if self.binds else MARK) + self.id

    @property
    def line(self) -> str:
        """As it stands in the keyring."""
        return (_BINDS if self.binds else "") + self.raw.hex()

    def aad(self, place: bytes) -> bytes:
        """What has to be the same at opening."""
        return self.head + (place if self.binds else b"")


class Sealer:
    """Seals bytes; what was changed, sealed under another key or put into another place does not open."""

    def __init__(self, *keys: bytes | Key, path: Path | None = None) -> None:
        """Wire it.

        keys   32 bytes each, the newest last
        path   the keyring that they were read from, read again when it changes
        """
        self._path = path
        self._read: tuple[int, int] | None = None
        self._take([key if isinstance(key, Key) else Key(key) for key in keys])

    @classmethod
    def from_file(cls, path: Path) -> "Sealer":
        """Read the keyring; make it (mode 0600) with one key where it is absent."""
        if not path.exists():
            _make(path, [_drawn()])
        return cls(*_keys(path), path=path)

    @property
    def path(self) -> Path:
        """Of the keyring."""
        assert self._path is not None, "the keys were given one by one"
        return self._path

    @property
    def head(self) -> bytes:
        """How everything begins that is sealed now."""
        self._look()
        return self._newest.head

    @property
    def ids(self) -> Sequence[bytes]:
        """The keys of the ring by their names, the newest last."""
        self._look()
        return [key.id for key in self._ring.values()]

    @property
    def binds(self) -> bool:
        """Whether what is sealed now is bound to its place."""
        self._look()
        return self._newest.binds

    def seal(self, value: bytes, place: bytes) -> bytes:
        """Mark, id of the key, sealed data key, then the value under that.

        place   where it will be kept, as `sealed_at` writes it
        """
        self._look()
        key, data_key = self._newest, AESGCM.generate_key(256)
        aad = key.aad(place)
        return key.head + _sealed(AESGCM(key.raw), data_key, aad) + _sealed(AESGCM(data_key), value, aad)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """The value. Raises Unopened, which names the place, for what no key of this ring sealed, or not for this place."""
        self._look()
        with suppress(InvalidTag):
            return self._opened(sealed, place)
        # Values of the first form, whose random beginning may even look like the mark.
        for key in self._ring.values():
            if not key.binds:
                with suppress(InvalidTag):
                    return _open(AESGCM(key.raw), sealed)
        raise Unopened(place)

    def is_stale(self, sealed: bytes) -> bool:
        """Whether `sealed` should be sealed anew, because another key than the newest, or the first form, holds it."""
        return not sealed.startswith(self.head)

    def _opened(self, sealed: bytes, place: bytes) -> bytes:
        head, rest = sealed[: len(MARK) + ID], sealed[len(MARK) + ID :]
        key = self._ring.get(head)
        if key is None:
            raise InvalidTag
        aad = key.aad(place)
        data_key = _open(AESGCM(key.raw), rest[:_WRAPPED], aad)
        return _open(AESGCM(data_key), rest[_WRAPPED:], aad)

    def _look(self) -> None:
        """Read the keyring again if it was changed: another replica, or a command, may have added a key."""
        if self._path is None:
            return
        with suppress(OSError, ValueError):  # half gone or away: the keys known before go on being right
            now = self._path.stat()
            if self._read != (now.st_mtime_ns, now.st_ino):
                self._take(_keys(self._path))
                self._read = (now.st_mtime_ns, now.st_ino)

    def _take(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise ValueError("a keyring has at least one key")
        self._ring = {key.head: key for key in keys}
        self._newest = keys[-1]


def rotate(path: Path) -> None:
    """Add a new key, by which values are sealed from now on. Old keys stay until nothing is sealed by them."""
    with _alone(path):
        _make(path, [*_keys(path), _drawn()], replace=True)


def discard(path: Path, names: Collection[str]) -> None:
    """Take away the keys with these names (hexadecimal), but never the newest. What they sealed is lost: see `resealing`."""
    with _alone(path):
        *old, newest = _keys(path)
        _make(path, [*(key for key in old if key.id.hex() not in names), newest], replace=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else changes the keyring meanwhile."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*"):  # by who was killed on the way: it holds keys
            left.unlink(missing_ok=True)
        yield


def _drawn() -> Key:
    return Key(AESGCM.generate_key(256))


def _sealed(cipher: AESGCM, value: bytes, aad: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, value, aad)


def _open(cipher: AESGCM, sealed: bytes, aad: bytes | None = None) -> bytes:
    if len(sealed) < _NONCE:
        raise InvalidTag
    return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], aad)


def _keys(path: Path) -> list[Key]:
    """The keys of a keyring. Raises ValueError for a line that is none, such as one that was cut: it would be a weaker key."""
    lines = path.read_text().split()
    keys = [Key(bytes.fromhex(line.removeprefix(_BINDS)), line.startswith(_BINDS)) for line in lines]
    if any(len(key.raw) != KEY for key in keys):
        raise ValueError(f"a key of the keyring {path.name} has not {KEY} bytes")
    return keys


def _make(path: Path, keys: Sequence[Key], *, replace: bool = False) -> None:
    """A keyring at `path` in one step, whole or not at all; of two first makers the first one's stays."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(fd, "w") as file:
            file.write("\n".join(key.line for key in keys))
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            with suppress(FileExistsError):
                os.link(temporary, path)
        _sync(path.parent)  # before anything is sealed by a key that a loss of power would take away
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _sync(folder: Path) -> None:
    """Make the names in `folder` outlive a loss of power."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""Secrets at rest: each value under a key of its own, which is sealed by a key that only this daemon reads.

A keyring is a file of such keys, one a line, the newest last. Sealing takes the newest, opening any of them; a sealed
value names the key that it needs. A new key is added by `rotate`; running daemons see it at the next value.
"""

import fcntl
import glob
import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
MARK = b"CSL2"
"""Begins a value that names its key; values without it were sealed by the first form, by a key of the ring directly."""
ID = 8
"""Bytes that name a key, after the mark."""
KEY = 32
"""Bytes of each key."""
_WRAPPED = _NONCE + KEY + 16


SEALED = {"sealed": True}
"""`info` of a column that holds sealed values: `Column("token", LargeBinary, info=SEALED)`; see `resealing`."""


class Sealer:
    """Seals bytes; what was changed or sealed under another key does not open."""

    def __init__(self, *keys: bytes, path: Path | None = None) -> None:
        """Wire it.

        keys   32 bytes each, the newest last
        path   the keyring that they were read from, read again when it changes
        """
        self._path = path
        self._read: tuple[int, int] | None = None
        self._take(keys)

    @classmethod
    def from_file(cls, path: Path) -> "Sealer":
        """Read the keyring, 32 bytes in hex a line; make it (mode 0600) with one key where it is absent."""
        if not path.exists():
            _make(path, [AESGCM.generate_key(256)])
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
        return MARK + self._newest

    @property
    def ids(self) -> Sequence[bytes]:
        """The keys of the ring by their names, the newest last."""
        self._look()
        return list(self._ring)

    def seal(self, value: bytes) -> bytes:
        """Mark, id of the key, sealed data key, then the value under that."""
        self._look()
        data_key = AESGCM.generate_key(256)
        head = MARK + self._newest
        return head + _sealed(self._ring[self._newest], data_key, head) + _sealed(AESGCM(data_key), value, head)

    def open(self, sealed: bytes) -> bytes:
        """The value. Raises cryptography's InvalidTag for what was not sealed by a key of this ring."""
        self._look()
        with suppress(InvalidTag):
            return self._opened(sealed)
        # Values of the first form, whose random beginning may even look like the mark.
        for ring in self._ring.values():
            with suppress(InvalidTag):
                return _open(ring, sealed)
        raise InvalidTag

    def is_stale(self, sealed: bytes) -> bool:
        """Whether `sealed` should be sealed anew, because another key than the newest, or the first form, holds it."""
        return not sealed.startswith(self.head)

    def _opened(self, sealed: bytes) -> bytes:
        head, rest = sealed[: len(MARK) + ID], sealed[len(MARK) + ID :]
        ring = self._ring.get(head[len(MARK) :]) if head.startswith(MARK) else None
        if ring is None:
            raise InvalidTag
        data_key = _open(ring, rest[:_WRAPPED], head)
        return _open(AESGCM(data_key), rest[_WRAPPED:], head)

    def _look(self) -> None:
        """Read the keyring again if it was changed: another replica, or a command, may have added a key."""
        if self._path is None:
            return
        with suppress(OSError, ValueError):  # half gone or away: the keys known before go on being right
            now = self._path.stat()
            if self._read != (now.st_mtime_ns, now.st_ino):
                self._take(_keys(self._path))
                self._read = (now.st_mtime_ns, now.st_ino)

    def _take(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a keyring has at least one key")
        self._ring = {_id(key): AESGCM(key) for key in keys}
        self._newest = _id(keys[-1])


def rotate(path: Path) -> None:
    """Add a new key, by which values are sealed from now on. Old keys stay until nothing is sealed by them."""
    with _alone(path):
        _make(path, [*_keys(path), AESGCM.generate_key(256)], replace=True)


def discard(path: Path, names: Collection[str]) -> None:
    """Take away the keys with these names (hexadecimal), but never the newest. What they sealed is lost: see `resealing`."""
    with _alone(path):
        *old, newest = _keys(path)
        _make(path, [*(key for key in old if _id(key).hex() not in names), newest], replace=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else changes the keyring meanwhile."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*"):  # by who was killed on the way: it holds keys
            left.unlink(missing_ok=True)
        yield


def _id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:ID]


def _sealed(cipher: AESGCM, value: bytes, head: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, value, head)


def _open(cipher: AESGCM, sealed: bytes, head: bytes | None = None) -> bytes:
    if len(sealed) < _NONCE:
        raise InvalidTag
    return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], head)


def _keys(path: Path) -> list[bytes]:
    """The keys of a keyring. Raises ValueError for a line that is none, such as one that was cut: it would be a weaker key."""
    keys = [bytes.fromhex(line) for line in path.read_text().split()]
    if any(len(key) != KEY for key in keys):
        raise ValueError(f"a key of the keyring {path.name} has not {KEY} bytes")
    return keys


def _make(path: Path, keys: Sequence[bytes], *, replace: bool = False) -> None:
    """A keyring at `path` in one step, whole or not at all; of two first makers the first one's stays."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(fd, "w") as file:
            file.write("\n".join(key.hex() for key in keys))
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

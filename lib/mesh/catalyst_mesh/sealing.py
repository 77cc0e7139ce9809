"""Secrets at rest: AES-256-GCM under a key that only this daemon reads."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Sealer:
    """Seals bytes; what was changed or sealed under another key does not open."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def from_file(cls, path: Path) -> "Sealer":
        """Read the key, 32 bytes in hex; make it (mode 0600) where it is absent."""
        if not path.exists():
            _make_key(path)
        return cls(bytes.fromhex(path.read_text().strip()))

    def seal(self, value: bytes) -> bytes:
        """Nonce, then ciphertext."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, value, None)

    def open(self, sealed: bytes) -> bytes:
        """The value. Raises cryptography's InvalidTag for what was not sealed by this key."""
        return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], None)


def _make_key(path: Path) -> None:
    """A new key at `path` in one step, whole or not at all; of two makers the first one's stays."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(fd, "w") as file:
            file.write(AESGCM.generate_key(256).hex())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)

"""The signature of quotes: HMAC-SHA256 under a key that only this daemon reads."""

import hmac
import os
from pathlib import Path

from catalyst_mesh.keyfiles import kept


class Signer:
    """Signs with one key. Replicas of the daemon need the same key file."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> "Signer":
        """Read the key, 32 bytes in hex; make it (mode 0600) where it is absent."""
        return cls(bytes.fromhex(kept(path, lambda: os.urandom(32).hex()).strip()))

    def __call__(self, message: bytes) -> bytes:
        """The signature of `message`."""
        return hmac.digest(self._key, message, "sha256")

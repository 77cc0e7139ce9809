"""The signature of quotes: HMAC-SHA256 under a key that only this daemon reads."""

import hmac
import os
from pathlib import Path


class Signer:
    """Signs with one key. Replicas of the daemon need the same key file."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> "Signer":
        """Read the key, 32 bytes in hex; make it (mode 0600) where it is absent."""
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls(bytes.fromhex(path.read_text().strip()))
        with os.fdopen(fd, "w") as file:
            file.write(os.urandom(32).hex())
            file.flush()
            os.fsync(file.fileno())
        return cls.from_file(path)

    def __call__(self, message: bytes) -> bytes:
        """The signature of `message`."""
        return hmac.digest(self._key, message, "sha256")

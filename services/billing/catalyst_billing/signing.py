"""Signatures: of quotes by HMAC-SHA256 under a key that only this daemon reads, of bundles for others by Ed25519."""

import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Signer:
    """Signs with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, message: bytes) -> bytes:
        """The signature of `message`."""
        return hmac.digest(self._key, message, "sha256")


class Seal:
    """Signs for other Sovereigns: Ed25519 (RFC 8032). They know its public half, and it theirs."""

    def __init__(self, key: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(key)

    def __call__(self, message: bytes) -> bytes:
        """The signature of `message`."""
        return self._key.sign(message)

    @property
    def public(self) -> str:
        """The public half, in hex."""
        return self._key.public_key().public_bytes_raw().hex()


def verifies(public: str) -> Callable[[bytes, bytes], bool]:
    """Checks signatures of a message by a public key in hex."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))

    def holds(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return holds

"""A public key whose private half nobody has, not even whoever made it.

Without a key Hetzner mails a root password, and a project refuses the same key twice. So each cluster gets a point of
the curve that is drawn from its name by a hash: to know the private half one would have to solve the discrete logarithm.
Source: RFC 8032 §5.1.3 (what a public key is), RFC 8709 §4 (how SSH writes it). Pure.
"""

import base64
import hashlib
from itertools import count

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P


def lock_key(name: str) -> str:
    """In the form of `authorized_keys`; equal names give equal keys."""
    for number in count():
        digest = hashlib.sha256(f"catalyst lock key {number} {name}".encode()).digest()
        if is_point(digest):
            blob = _field(b"ssh-ed25519") + _field(digest)
            return f"ssh-ed25519 {base64.b64encode(blob).decode()} {name}"
    raise AssertionError("every second number is a point")


def is_point(key: bytes) -> bool:
    """Whether 32 bytes are a point of the curve: x² = (y² - 1) / (dy² + 1) has a root."""
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    if y >= P:
        return False
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    return square != 0 and pow(square, (P - 1) // 2, P) == 1


def _field(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value

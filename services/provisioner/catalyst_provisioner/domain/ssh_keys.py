"""Public keys for servers: the blob is parsed, not only matched."""

import base64
import binascii
import struct
from collections.abc import Iterator

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
SMALLEST_RSA = 2048


def key_fault(line: str) -> str:
    """What is wrong with a line of authorized_keys; empty: nothing. The blob is parsed (RFC 4253, section 6.6)."""
    parts = line.strip().split(None, 2)
    if len(parts) < 2 or parts[0] not in KEY_TYPES:
        return f"must begin with one of {', '.join(KEY_TYPES)}"
    try:
        blob = base64.b64decode(parts[1], validate=True)
        fields = list(_fields(blob))
    except (binascii.Error, struct.error, ValueError):
        return "the key is cut short or not base64"
    if not fields or fields[0] != parts[0].encode():
        return "the key is of another type than its line says"
    if parts[0] == "ssh-rsa" and (len(fields) < 3 or int.from_bytes(fields[2]).bit_length() < SMALLEST_RSA):
        return f"an RSA key needs {SMALLEST_RSA} bits"
    curve = parts[0].removeprefix("ecdsa-sha2-").encode()
    if parts[0].startswith("ecdsa-") and (len(fields) != 3 or fields[1] != curve):
        return "the key lies on another curve than its line says"
    return "" if parts[0] != "ssh-ed25519" or len(fields[-1]) == 32 else "an Ed25519 key has 32 bytes"


def _fields(blob: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(blob):
        (size,) = struct.unpack_from(">I", blob, at)
        if at + 4 + size > len(blob):
            raise ValueError("cut short")
        yield blob[at + 4 : at + 4 + size]
        at += 4 + size

"""Signatures of commits by an SSH key, as Git makes them with `gpg.format=ssh`: no program is started and no key lies in a file.

source    OpenSSH, PROTOCOL.sshsig; gitformat-signature. Only Ed25519: its signatures are the same each time, so a commit that
          is made again after a crash is the same commit.
"""

import base64
import hashlib
import struct
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from catalyst_sdk import Violation
from catalyst_sdk.credentials import Credential
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from .domain.credentials import CredentialInvalid

KIND = "signing_key"
FIELD = "private_key"
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {FIELD: {"type": "string", "minLength": 1, "maxLength": 4096, "x-secret": True}},
    "required": [FIELD],
    "additionalProperties": False,
}
"""Field of such a credential: a private key of OpenSSH's form without a passphrase, `ssh-keygen -t ed25519 -N ""`."""
MAGIC, NAMESPACE, HASH, KEY_TYPE = b"SSHSIG", b"git", b"sha512", b"ssh-ed25519"
Sign = Callable[[bytes], bytes]


def demand_key(values: Mapping[str, str]) -> None:
    """Raises CredentialInvalid for what is no key that can sign here, without a word of it."""
    try:
        _key(values[FIELD])
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        text = "must be an Ed25519 key in OpenSSH's form without a passphrase"
        raise CredentialInvalid([Violation(f"values.{FIELD}", text, "key")]) from error


def signer(credential: Credential) -> Sign:
    """What signs a commit with the key: its bytes in, the text of the signature out."""
    key = _key(credential[FIELD])

    def sign(message: bytes) -> bytes:
        return signature(key, message)

    return sign


def signature(key: Ed25519PrivateKey, message: bytes) -> bytes:
    """The armoured signature of a message."""
    digest = hashlib.sha512(message).digest()
    signed = MAGIC + _strings(NAMESPACE, b"", HASH, digest)
    public = _strings(KEY_TYPE, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    blob = MAGIC + struct.pack(">I", 1) + _strings(public, NAMESPACE, b"", HASH, _strings(KEY_TYPE, key.sign(signed)))
    lines = textwrap.wrap(base64.b64encode(blob).decode(), 70)
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----"]).encode()


def _key(text: str) -> Ed25519PrivateKey:
    # A text area gives lines that end as on Windows, or none at the end.
    found = load_ssh_private_key(text.replace("\r\n", "\n").strip().encode() + b"\n", None)
    if not isinstance(found, Ed25519PrivateKey):
        raise TypeError("another kind of key")
    return found


def _strings(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)

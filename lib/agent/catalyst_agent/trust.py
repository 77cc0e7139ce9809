"""Whom the agent believes: the authority whose digest its server was born with, and nobody else.

The pin is the SHA-256 of an authority's certificate. The certificate itself comes from the provisioner's own handshake, in
which it shows its whole chain; only one that has the pinned digest is ever used to check anything.
"""

import hashlib
import socket
import ssl

TIMEOUT = 10.0


class NotTrusted(Exception):
    """The other side shows no certificate with the pinned digest."""


def authority(endpoint: str, pin: str) -> str:
    """The pinned authority, PEM. Raises NotTrusted, OSError."""
    host, _, port = endpoint.rpartition(":")
    context = ssl.create_default_context()
    # Nothing is believed here: the chain is only read, to find the certificate of which the digest is known.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=host.strip("[]")) as secured,
    ):
        shown = chain(secured)
    for one in shown:
        if hashlib.sha256(one).hexdigest() == pin.lower():
            return ssl.DER_cert_to_PEM_cert(one)
    raise NotTrusted(f"{endpoint} shows {len(shown)} certificates, none of which has the pinned digest")


def chain(secured: ssl.SSLSocket) -> list[bytes]:
    """What the other side has shown, DER."""
    if hasattr(secured, "get_unverified_chain"):  # since Python 3.13
        return [bytes(one) for one in secured.get_unverified_chain()]
    found = secured._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # the same, not public before 3.13
    return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in found]

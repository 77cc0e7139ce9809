"""The pinned authority, from a real handshake."""

import hashlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer

import pytest
from catalyst_agent.trust import NotTrusted, authority
from catalyst_testkit.authority import Authority


class Shaking(TCPServer):
    """Shakes hands and says nothing."""

    context: ssl.SSLContext

    def process_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]  # as the library has it
        with self.context.wrap_socket(request, server_side=True):
            pass


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[tuple[str, Authority]]:
    """Address of a server that shows its certificate and the authority's, and the authority."""
    own = Authority()
    own.issue("provisioner", tmp_path)
    whole = tmp_path / "chain.crt"
    whole.write_bytes((tmp_path / "tls.crt").read_bytes() + own.pem)
    with Shaking(("127.0.0.1", 0), BaseRequestHandler) as server:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(whole, tmp_path / "tls.key")
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        yield f"127.0.0.1:{server.server_address[1]}", own
        answering.join(60)


def digest(pem: bytes) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()


def test_the_authority_with_the_pinned_digest_is_believed(shown: tuple[str, Authority]) -> None:
    address, own = shown
    assert ssl.PEM_cert_to_DER_cert(authority(address, digest(own.pem).upper())) == ssl.PEM_cert_to_DER_cert(
        own.pem.decode()
    )


def test_nobody_else_is(shown: tuple[str, Authority]) -> None:
    with pytest.raises(NotTrusted, match="shows 2 certificates, none of which has the pinned digest"):
        authority(shown[0], digest(Authority().pem))

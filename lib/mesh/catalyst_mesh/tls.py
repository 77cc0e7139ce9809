"""TLS between daemons: certificates in files that somebody else renews, taken up without a restart.

The server asks for its certificate at each handshake (`grpc.dynamic_ssl_server_credentials`). A client of Python's gRPC
cannot (grpc/grpc#41779), so it gets a new channel; see `channels`.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates

from .logs import get_logger


class CertificatesUnusable(ValueError):
    """Files that do not hold what TLS needs; the text says which, and never what stands in them."""


@dataclass(frozen=True, slots=True)
class Material:
    """What was in the files at one moment, all PEM."""

    certificate: bytes = b""
    key: bytes = b""
    authorities: bytes = b""


class CertificateFiles:
    """One side's certificate and key, and the authorities that it believes.

    certificate  own certificate, with what stands between it and the authority; None: this side shows none
    key          its private key
    authorities  certificates by which the other side's is checked; during a change of authority the old and the new one

    A renewal that is only half written is not taken: the material known before goes on being right until the certificate
    and the key fit together again.
    """

    def __init__(
        self, *, certificate: Path | None = None, key: Path | None = None, authorities: Path | None = None
    ) -> None:
        if (certificate is None) != (key is None):
            raise CertificatesUnusable("a certificate and its key are given together, or neither is")
        self._paths = (certificate, key, authorities)
        self._log = get_logger("tls")
        self._seen = self._look()
        self._material = self._read()
        self.version = 1
        """Grows with each renewal that was taken up."""

    @property
    def shows_certificate(self) -> bool:
        """Whether this side has a certificate of its own."""
        return self._paths[0] is not None

    @property
    def believes(self) -> bool:
        """Whether authorities are named by which the other side can be checked."""
        return self._paths[2] is not None

    def material(self) -> Material:
        """What the files hold now, or held last while they were usable. Asks the file system each time."""
        try:
            seen = self._look()
            if seen != self._seen:
                self._material = self._read()
                self._seen = seen  # only now: what could not be used is looked at again
                self.version += 1
        except (OSError, CertificatesUnusable) as error:
            self._log.warning("certificates not renewed", error=type(error).__name__)
        return self._material

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        # Kubernetes swaps a link to a folder, so the inode tells more than the time.
        found = [path.stat() for path in self._paths if path is not None]
        return tuple((s.st_mtime_ns, s.st_ino, s.st_size) for s in found)

    def _read(self) -> Material:
        read = Material(*(b"" if path is None else path.read_bytes() for path in self._paths))
        _check(read)
        return read


def server_credentials(files: CertificateFiles, *, require_client: bool) -> grpc.ServerCredentials:
    """Credentials of a server that shows whatever `files` hold at the moment of each handshake.

    require_client  whether callers must show a certificate that one of the authorities signed (mutual TLS)
    """
    shown = 0

    def configured() -> grpc.ServerCertificateConfiguration:
        m = files.material()
        return grpc.ssl_server_certificate_configuration(
            [(m.key, m.certificate)], m.authorities if require_client else None
        )

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        files.material()
        if files.version == shown:
            return None  # as before
        shown = files.version
        return configured()

    return grpc.dynamic_ssl_server_credentials(
        configured(),
        fetch,  # type: ignore[arg-type]  # the stubs do not know that None means: as before
        require_client_authentication=require_client,
    )


def channel_credentials(files: CertificateFiles) -> grpc.ChannelCredentials:
    """Credentials of a channel, from what `files` hold now."""
    m = files.material()
    return grpc.ssl_channel_credentials(m.authorities or None, m.key or None, m.certificate or None)


def _check(m: Material) -> None:
    """Raises CertificatesUnusable; never with a word of the key."""
    try:
        if m.certificate and _public(load_pem_x509_certificate(m.certificate)) != _public(
            load_pem_private_key(m.key, password=None)
        ):
            raise CertificatesUnusable("the certificate is not the key's")
        if m.authorities:
            load_pem_x509_certificates(m.authorities)
    except CertificatesUnusable:
        raise
    except (ValueError, TypeError, ssl.SSLError) as error:
        raise CertificatesUnusable(f"no usable PEM: {type(error).__name__}") from error


def _public(owner: object) -> bytes:
    key = owner.public_key()  # type: ignore[attr-defined]  # certificates and private keys both have it
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded

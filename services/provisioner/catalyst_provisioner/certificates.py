"""The authority for agents' certificates: its key stays in one file of this daemon."""

import datetime as dt
from pathlib import Path

from catalyst_mesh.keyfiles import kept
from catalyst_sdk import Code, Refused
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = dt.timedelta(days=3650)
PEM = serialization.Encoding.PEM


class CsrInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "CSR_INVALID", "the certificate request cannot be used: {why}"


class Authority:
    """Signs certificates for agents."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def open(cls, folder: Path, now: dt.datetime) -> "Authority":
        """Use the authority in `folder`, made there at first."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = _read(kept(folder / "authority.key", _drawn).encode())
        # Made from the key that all replicas have; of two certificates the first one counts.
        own = kept(folder / "authority.pem", lambda: _own(key, now).public_bytes(PEM).decode())
        return cls(key, x509.load_pem_x509_certificate(own.encode()))

    @property
    def bundle(self) -> str:
        """The authority's own certificate, PEM."""
        return self._certificate.public_bytes(PEM).decode()

    def sign(self, request: x509.CertificateSigningRequest, subject: str, now: dt.datetime, life: dt.timedelta) -> str:
        """A client certificate for `subject`, whatever name the request has; PEM with its chain."""
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[-64:])]))
            .issuer_name(self._certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"catalyst:{subject}")]), False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(PEM).decode() + self.bundle


def pin(shown: Path | None) -> str:
    """SHA-256 of the authority in the file of what this daemon shows to callers, its last certificate; empty without TLS.

    Servers are born with it: by it they know this daemon before they know anything else.
    """
    if shown is None:
        return ""
    return x509.load_pem_x509_certificates(shown.read_bytes())[-1].fingerprint(hashes.SHA256()).hex()


def read_request(pem: str) -> x509.CertificateSigningRequest:
    """A request that is signed by its own key. Raises CsrInvalid."""
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        valid = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise CsrInvalid(why="it is not a PEM certificate request") from error
    if not valid:
        raise CsrInvalid(why="its signature is not that of its key")
    return request


def public_key(request: x509.CertificateSigningRequest) -> bytes:
    """The request's key in one fixed form."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return request.public_key().public_bytes(serialization.Encoding.DER, form)


def _read(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "the authority's key is on an elliptic curve"
    return key


def _drawn() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def _own(key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Catalyst provisioner, agents")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )

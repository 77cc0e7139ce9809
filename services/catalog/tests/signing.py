"""Signs artifacts for tests, as a publisher would."""

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SPDX, SLSA = "https://spdx.dev/Document", "https://slsa.dev/provenance/v1"
SIGNING = "https://sigstore.dev/cosign/sign/v1"
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")


@dataclass(frozen=True)
class Signer:
    """A key, and what is made with it."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def pem(self) -> str:
        """The public key."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def sign(self, digest: str, **more: Any) -> bytes:
        """A signature of a digest."""
        image = {"docker-manifest-digest": digest}
        kind = "cosign container image signature"
        critical = {"identity": {"docker-reference": "test"}, "image": image, "type": kind}
        payload = json.dumps({"critical": critical, "optional": None}).encode()
        return json.dumps({"payload": _text(payload), "signature": _text(self._made(payload)), **more}).encode()

    def attest(self, digest: str, kind: str = SPDX) -> bytes:
        """A statement about a digest, in its envelope."""
        subject = [{"name": "test", "digest": {"sha256": digest.removeprefix("sha256:")}}]
        statement = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": kind}
        payload = json.dumps({**statement, "predicate": {"spdxVersion": "SPDX-2.3"}}).encode()
        name = "application/vnd.in-toto+json"
        signed = b"DSSEv1 %d %s %d %s" % (len(name), name.encode(), len(payload), payload)
        sigs = [{"keyid": "", "sig": _text(self._made(signed))}]
        return json.dumps({"payloadType": name, "payload": _text(payload), "signatures": sigs}).encode()

    def bundle(self, digest: str, kind: str = SIGNING) -> bytes:
        """A statement about a digest in a bundle, as signers with a key attach it."""
        return _bundle(dsseEnvelope=json.loads(self.attest(digest, kind)))

    def bundle_of(self, content: bytes) -> bytes:
        """A signature of bytes in a bundle."""
        return _bundle(messageSignature={"signature": _text(self._made(content))})

    def certificate(self, issuer: str, subject: str) -> str:
        """A short-lived certificate of an identity, as a keyless signer has one."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sigstore")])
        now = datetime(2026, 1, 1, tzinfo=UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(minutes=10))
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(subject)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER, issuer.encode()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def _made(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


def _bundle(**content: Any) -> bytes:
    kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
    return json.dumps({"mediaType": kind, "verificationMaterial": {"publicKey": {"hint": "ours"}}, **content}).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()

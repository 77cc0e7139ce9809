"""A house that signs without keys, for tests: an authority, a log of its certificates and a log of signatures, as Sigstore
has them; every part of it can be had wrong."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from catalyst_catalog.domain.trust import Identity, Policy, Requirement
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNED_AT = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
ISSUER, SUBJECT = "https://token.actions.example", "https://github.example/acme/shop/.github/workflows/release.yml"
_PROMISES = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey


def key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def made(by: Key, message: bytes) -> bytes:
    return by.sign(message, ec.ECDSA(hashes.SHA256()))


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def public(of: Key) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return of.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def spki_hash(of: Key) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(of.public_key().public_bytes(serialization.Encoding.DER, form)).digest()


def authority(name: str, own: Key, by: Key, issuer: str, *, length: int | None = None) -> x509.Certificate:
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "crl_sign", "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    return (
        _named(name, issuer, own, SIGNED_AT - timedelta(days=100), SIGNED_AT + timedelta(days=100))
        .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, **usage), critical=True)
        .sign(by, hashes.SHA256())
    )


@dataclass(frozen=True)
class House:
    """Keys and certificates of the parts."""

    root_key: Key = field(default_factory=key)
    middle_key: Key = field(default_factory=key)
    log_key: Key = field(default_factory=key)
    certificate_log_key: Key = field(default_factory=key)
    signer: Key = field(default_factory=key)
    length: int | None = 0
    """How many authorities may stand below the one in the middle."""

    @property
    def root(self) -> x509.Certificate:
        return authority("root", self.root_key, self.root_key, "root")

    @property
    def middle(self) -> x509.Certificate:
        return authority("middle", self.middle_key, self.root_key, "root", length=self.length)

    def policy(self, **changes: Any) -> Policy:
        values: dict[str, Any] = {
            "signature": Requirement.REQUIRED, "sbom": Requirement.NONE, "identities": (Identity(ISSUER, SUBJECT),),
            "authorities": (pem(self.root),), "log_keys": (public(self.log_key),),
            "certificate_log_keys": (public(self.certificate_log_key),), **changes,
        }  # fmt: skip
        return Policy(**values)

    def certificate(
        self, *, subject: str = SUBJECT, signs_code: bool = True, by: Key | None = None
    ) -> x509.Certificate:
        """The certificate of ten minutes, with the promise of the log of certificates in it."""
        usage = ExtendedKeyUsageOID.CODE_SIGNING if signs_code else ExtendedKeyUsageOID.CLIENT_AUTH
        issuer = b"\x0c" + bytes([len(ISSUER)]) + ISSUER.encode()
        builder = (
            _named("", "middle", self.signer, SIGNED_AT - timedelta(minutes=5), SIGNED_AT + timedelta(minutes=5))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(subject)]), critical=True)
            .add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8"), issuer), critical=False
            )
        )
        own = by or self.middle_key
        body = builder.sign(own, hashes.SHA256()).tbs_certificate_bytes
        taken = ((SIGNED_AT - _EPOCH) // timedelta(milliseconds=1)).to_bytes(8)
        said = b"\0\0" + taken + b"\0\1" + spki_hash(self.middle_key) + len(body).to_bytes(3) + body + b"\0\0"
        signature = made(self.certificate_log_key, said)
        one = b"\0" + spki_hash(self.certificate_log_key) + taken + b"\0\0\x04\x03" + _sized(signature)
        listed = _sized(_sized(one))
        wrapped = b"\x04" + (bytes([len(listed)]) if len(listed) < 128 else bytes([0x81, len(listed)])) + listed
        return builder.add_extension(x509.UnrecognizedExtension(_PROMISES, wrapped), critical=False).sign(
            own, hashes.SHA256()
        )

    def logged(
        self, content: bytes, signature: bytes, certificate: x509.Certificate, *, kind: str = "hashedrekord",
        taken_at: datetime = SIGNED_AT,
    ) -> dict[str, Any]:  # fmt: skip
        """What the log of signatures answers, with its promise."""
        hashed = {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()}
        shown = text(pem(certificate).encode())
        specs: dict[str, Any] = {
            "hashedrekord": {
                "data": {"hash": hashed},
                "signature": {"content": text(signature), "publicKey": {"content": shown}},
            },
            "dsse": {"payloadHash": hashed, "signatures": [{"signature": text(signature), "verifier": shown}]},
        }
        body = text(json.dumps({"apiVersion": "0.0.1", "kind": kind, "spec": specs[kind]}).encode())
        moment, log = int(taken_at.timestamp()), spki_hash(self.log_key).hex()
        said = f'{{"body":"{body}","integratedTime":{moment},"logID":"{log}","logIndex":7}}'
        payload = {"body": body, "integratedTime": moment, "logIndex": 7, "logID": log}
        return {"SignedEntryTimestamp": text(made(self.log_key, said.encode())), "Payload": payload}

    def cosign(self, digest: str, *, certificate: x509.Certificate | None = None, **how: Any) -> dict[str, Any]:
        """A simple signature with all that cosign notes beside it."""
        shown = certificate or self.certificate()
        payload = json.dumps({"critical": {"image": {"docker-manifest-digest": digest}}}).encode()
        signature = made(self.signer, payload)
        return {
            "payload": text(payload), "signature": text(signature), "certificate": pem(shown),
            "chain": pem(self.middle) + pem(self.root), "bundle": self.logged(payload, signature, shown, **how),
        }  # fmt: skip

    def bundle(self, digest: str, kind: str) -> dict[str, Any]:
        """Sigstore's bundle around a statement about a digest."""
        certificate = self.certificate()
        subject = [{"name": "test", "digest": {"sha256": digest.removeprefix("sha256:")}}]
        statement = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": kind}
        payload = json.dumps({**statement, "predicate": {}}).encode()
        name = "application/vnd.in-toto+json"
        signature = made(self.signer, b"DSSEv1 %d %s %d %s" % (len(name), name.encode(), len(payload), payload))
        told = self.logged(payload, signature, certificate, kind="dsse")
        envelope = {"payloadType": name, "payload": text(payload), "signatures": [{"sig": text(signature)}]}
        return self._bundle(certificate, told) | {"dsseEnvelope": envelope}

    def of_bytes(self, content: bytes) -> dict[str, Any]:
        """Sigstore's bundle around a signature of bytes."""
        certificate, signature = self.certificate(), made(self.signer, content)
        told = self.logged(content, signature, certificate)
        digest = {"algorithm": "SHA2_256", "digest": text(hashlib.sha256(content).digest())}
        return self._bundle(certificate, told) | {
            "messageSignature": {"messageDigest": digest, "signature": text(signature)}
        }

    def proof(self, body: bytes, *, index: int = 4, size: int = 7) -> dict[str, Any]:
        """That the log's tree has an entry, among others."""
        entries = [body if n == index else b"entry %d" % n for n in range(size)]
        root = text(root_of(entries))
        return {
            "logIndex": str(index), "treeSize": str(size), "rootHash": root,
            "hashes": [text(one) for one in way_of(index, entries)], "checkpoint": {"envelope": self.note(size, root)},
        }  # fmt: skip

    def note(self, size: int, root: str, *, by: Key | None = None) -> str:
        """What the log signs of its tree."""
        said = f"rekor.example - 7\n{size}\n{root}\nTimestamp: 1689177396617352539\n"
        signed = spki_hash(self.log_key)[:4] + made(by or self.log_key, said.encode())
        return f"{said}\n\N{EM DASH} rekor.example {text(signed)}\n"

    def _bundle(self, certificate: x509.Certificate, told: dict[str, Any]) -> dict[str, Any]:
        payload, der = told["Payload"], serialization.Encoding.DER
        entry = {
            "logIndex": str(payload["logIndex"]), "logId": {"keyId": text(bytes.fromhex(payload["logID"]))},
            "integratedTime": str(payload["integratedTime"]), "canonicalizedBody": payload["body"],
            "inclusionPromise": {"signedEntryTimestamp": told["SignedEntryTimestamp"]},
            "inclusionProof": self.proof(base64.b64decode(payload["body"])),
        }  # fmt: skip
        shown = [{"rawBytes": text(one.public_bytes(der))} for one in (certificate, self.middle)]
        material = {"x509CertificateChain": {"certificates": shown}, "tlogEntries": [entry]}
        return {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2", "verificationMaterial": material}


def root_of(entries: Sequence[bytes]) -> bytes:
    """The root of a tree, as RFC 6962 §2.1 defines it."""
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    cut = _below(len(entries))
    return hashlib.sha256(b"\1" + root_of(entries[:cut]) + root_of(entries[cut:])).digest()


def way_of(index: int, entries: Sequence[bytes]) -> list[bytes]:
    """The proof of one entry, as RFC 6962 §2.1.1 defines it."""
    if len(entries) == 1:
        return []
    cut = _below(len(entries))
    if index < cut:
        return [*way_of(index, entries[:cut]), root_of(entries[cut:])]
    return [*way_of(index - cut, entries[cut:]), root_of(entries[:cut])]


def _below(many: int) -> int:
    """The largest power of two that is less."""
    return 1 << (many - 1).bit_length() - 1


def _named(name: str, issuer: str, own: Key, start: datetime, end: datetime) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(by).public_key(own.public_key())
        .serial_number(7).not_valid_before(start).not_valid_after(end)
    )  # fmt: skip


def _sized(raw: bytes) -> bytes:
    return len(raw).to_bytes(2) + raw

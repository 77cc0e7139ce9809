"""Keyless signatures, checked without a network: by whom, certified how, and in which log.

A signature is good where all of this holds:
  chain   an authority that the policy names issued the certificate for code signing, itself or through others;
  seen    where the policy names logs of certificates, one of them promised to hold this one;
  logged  a log that the policy names promised to hold an entry of just this content, signature and certificate, and where
          the entry comes with a proof that the log's tree has it, the proof holds for a root that this log signed;
  time    the log took the entry while every certificate of the chain counted.
Both forms are read: what cosign puts beside a simple signature (certificate, chain, bundle), and Sigstore's bundle.
A proof of inclusion says nothing of time. Timestamps of RFC 3161, and entries of Rekor's second version, whose time only these
say, are not looked at: what rests on them alone stays unverifiable.
sources: Sigstore's bundle format 0.3, Rekor's `hashedrekord` and `dsse` 0.0.1, RFC 6962 §3.2, RFC 8785
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID

from ..domain.trust import Policy, Signature
from . import inclusion
from .inclusion import HINT_BYTES, Proof

LONGEST_CHAIN = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Anchors:
    """What a policy trusts keyless signatures by."""

    authorities: tuple[x509.Certificate, ...]
    logs: Mapping[bytes, Any]
    """Keys of logs of signatures, by the id that a log has from its key."""
    certificate_logs: Mapping[bytes, Any]

    @classmethod
    def of(cls, policy: Policy) -> "Anchors":
        """Those of a policy, whose PEM was checked when it was stored."""
        return cls(
            tuple(x509.load_pem_x509_certificate(pem.encode()) for pem in policy.authorities),
            _by_id(policy.log_keys),
            _by_id(policy.certificate_log_keys),
        )


@dataclass(frozen=True)
class Entry:
    """What a log promised to hold."""

    body: bytes
    taken_at: int
    """Seconds since 1970."""
    log: bytes
    index: int
    promise: bytes
    proof: Proof | None = None
    """That its tree has it; None: nothing but the promise came along."""

    @property
    def promised(self) -> bytes:
        """The bytes that the promise signs."""
        said = {
            "body": base64.b64encode(self.body).decode(),
            "integratedTime": self.taken_at,
            "logID": self.log.hex(),
            "logIndex": self.index,
        }
        return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Signed:
    """A signature with all that came along to check it by."""

    content: bytes
    """SHA-256 of the signed content, as the log has it."""
    signature: bytes
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    entries: tuple[Entry, ...]


def of_cosign(given: Mapping[str, Any], payload: bytes, signature: bytes) -> Signed:
    """What cosign noted beside a simple signature. Raises what parsing a stranger's bytes does."""
    bundle = given.get("bundle")
    told = json.loads(bundle) if isinstance(bundle, str) else bundle
    chain = str(given.get("chain") or "")
    return Signed(
        hashlib.sha256(payload).digest(),
        signature,
        x509.load_pem_x509_certificate(given["certificate"].encode()),
        tuple(x509.load_pem_x509_certificates(chain.encode())) if chain.strip() else (),
        (_noted(told),) if told else (),
    )


def of_bundle(material: Mapping[str, Any], content: bytes, signature: bytes) -> Signed:
    """What the verification material of a bundle brings. Raises what parsing a stranger's bytes does."""
    single = material.get("certificate")
    listed = [single] if single else material["x509CertificateChain"]["certificates"]
    leaf, *chain = (x509.load_der_x509_certificate(base64.b64decode(one["rawBytes"])) for one in listed)
    return Signed(content, signature, leaf, tuple(chain), tuple(_entries(material.get("tlogEntries", ()))))


def check(signed: Signed, anchors: Anchors) -> Signature:
    """What is known of a signature that its certificate's key made; whose certificate it is, the caller asks."""
    if not (anchors.authorities and anchors.logs and signed.entries):
        return Signature.UNVERIFIABLE
    for entry in signed.entries:
        key = anchors.logs.get(entry.log)
        if key is None or not _is_held(entry, key) or not _is_about(entry.body, signed):
            continue
        chain = _chain(signed, anchors.authorities, _EPOCH + timedelta(seconds=entry.taken_at))
        if chain is not None and (not anchors.certificate_logs or _is_seen(chain, anchors.certificate_logs)):
            return Signature.VERIFIED
    return Signature.INVALID


def is_good(key: Any, message: bytes, made: bytes, *, is_hashed: bool = False) -> bool:
    """Whether `key` signed a message, or with `is_hashed` what has this SHA-256."""
    known: Any = utils.Prehashed(hashes.SHA256()) if is_hashed else hashes.SHA256()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(made, message, ec.ECDSA(known))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(made, message, padding.PKCS1v15(), known)
        elif isinstance(key, ed25519.Ed25519PublicKey) and not is_hashed:
            key.verify(made, message)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def is_certificate(pem: str) -> bool:
    """Whether a text is one certificate in PEM."""
    try:
        x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _noted(bundle: Mapping[str, Any]) -> Entry:
    told = bundle["Payload"]
    return Entry(
        base64.b64decode(told["body"]), int(told["integratedTime"]), bytes.fromhex(told["logID"]), int(told["logIndex"]),
        base64.b64decode(bundle["SignedEntryTimestamp"]),
    )  # fmt: skip


def _entries(told: Iterable[Mapping[str, Any]]) -> Iterator[Entry]:
    for one in told:
        if promise := one.get("inclusionPromise"):
            yield Entry(
                base64.b64decode(one["canonicalizedBody"]), int(one["integratedTime"]),
                base64.b64decode(one["logId"]["keyId"]), int(one.get("logIndex", 0)),
                base64.b64decode(promise["signedEntryTimestamp"]), inclusion.of_bundle(one.get("inclusionProof")),
            )  # fmt: skip


def _is_held(entry: Entry, key: Any) -> bool:
    """Whether the log with this key promised the entry, and shows it where it says that it shows it."""
    if not is_good(key, entry.promised, entry.promise):
        return False
    if entry.proof is None:
        return True
    told = entry.proof.checkpoint
    is_signed = any(
        hint == entry.log[:HINT_BYTES] and is_good(key, told.said, made) for hint, made in told.signatures
    )  # fmt: skip - one condition
    return is_signed and inclusion.holds(entry.proof, entry.body)


def _is_about(body: bytes, signed: Signed) -> bool:
    """Whether an entry holds just this content, signature and certificate."""
    told = json.loads(body)
    spec = told["spec"]
    if (told["kind"], told["apiVersion"]) == ("hashedrekord", "0.0.1"):
        hashed, made = spec["data"]["hash"], [(spec["signature"]["content"], spec["signature"]["publicKey"]["content"])]
    elif (told["kind"], told["apiVersion"]) == ("dsse", "0.0.1"):
        hashed, made = spec["payloadHash"], [(one["signature"], one["verifier"]) for one in spec["signatures"]]
    else:
        return False
    if (hashed["algorithm"], hashed["value"]) != ("sha256", signed.content.hex()):
        return False
    return any(
        base64.b64decode(signature) == signed.signature
        and x509.load_pem_x509_certificate(base64.b64decode(pem)) == signed.certificate
        for signature, pem in made
    )


def _chain(signed: Signed, authorities: Sequence[x509.Certificate], moment: datetime) -> list[x509.Certificate] | None:
    """The certificate and its issuers up to an authority, each of which counted at that moment; None: there is no way."""
    way = [signed.certificate]
    if not _signs_code(way[0]):
        return None
    while len(way) <= LONGEST_CHAIN:
        if not way[-1].not_valid_before_utc <= moment <= way[-1].not_valid_after_utc:
            return None
        if way[-1] in authorities and len(way) > 1:
            return way
        issuer = next((one for one in (*authorities, *signed.chain) if _issued(one, way[-1], len(way) - 1)), None)
        if issuer is None:
            return None
        way.append(issuer)
    return None


def _issued(issuer: x509.Certificate, certificate: x509.Certificate, below: int) -> bool:
    """Whether `issuer` may issue certificates, with `below` others between it and the last one, and issued this one."""
    try:
        limits = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    is_limited = any(isinstance(one.value, x509.NameConstraints) for one in issuer.extensions)
    too_long = limits.path_length is not None and below > limits.path_length
    if not limits.ca or not usage.key_cert_sign or is_limited or too_long:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _signs_code(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CODE_SIGNING in usages


def _is_seen(chain: Sequence[x509.Certificate], logs: Mapping[bytes, Any]) -> bool:
    """Whether a log of certificates promised to hold the first one of a chain."""
    try:
        promises = chain[0].extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    except x509.ExtensionNotFound:
        return False
    issuer, body = hashlib.sha256(_spki(chain[1].public_key())).digest(), chain[0].tbs_precertificate_bytes
    for one in promises:
        taken = (one.timestamp.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
        said = b"".join((
            b"\0\0", taken.to_bytes(8), b"\0\1", issuer, len(body).to_bytes(3), body,
            len(one.extension_bytes).to_bytes(2), one.extension_bytes,
        ))  # fmt: skip
        if one.log_id in logs and is_good(logs[one.log_id], said, one.signature):
            return True
    return False


def _by_id(pems: Iterable[str]) -> dict[bytes, Any]:
    keys = [serialization.load_pem_public_key(pem.encode()) for pem in pems]
    return {hashlib.sha256(_spki(key)).digest(): key for key in keys}


def _spki(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    raw: bytes = key.public_bytes(serialization.Encoding.DER, form)
    return raw

"""Checks what is said about an artifact: signatures of its digest, its bill of materials, where it was built.

What is understood, offline and with nothing but the policy's keys:
  a signature      cosign's "simple signing": a JSON payload that names the digest, and a signature over its bytes, given
                   as `{"payload": base64, "signature": base64, "certificate": PEM}`, the last one for keyless signers
  an attestation   a DSSE envelope around an in-toto statement whose subject is the digest
A keyless signature can be found bad here, or by a stranger; that it is good takes the log in which its certificate stands,
so it is UNVERIFIABLE.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from ..domain.trust import Attestation, Identity, Policy, Requirement, Signature, Verdict

SBOM_TYPES = ("https://spdx.dev/Document", "https://cyclonedx.org/bom")
PROVENANCE_TYPES = ("https://slsa.dev/provenance/",)
_ISSUERS = (x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8"), x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1"))
"""Extensions of Sigstore's certificates that name the issuer of the identity, the newer first."""
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm, RecursionError)
"""What parsing a stranger's bytes raises."""


@dataclass(frozen=True, slots=True)
class _Key:
    fingerprint: str
    public: Any


def judge(policy: Policy, digest: str, signatures: Sequence[bytes], attestations: Sequence[bytes]) -> Verdict:
    """What the signatures and attestations of the artifact `digest` are worth under `policy`."""
    keys = [_Key(fingerprint(pem), _public(pem)) for pem in policy.keys]
    signed, signers = Signature.NOT_REQUIRED, frozenset[str]()
    if policy.signature is not Requirement.NONE:
        signed, signers = _signature(keys, policy.identities, digest, signatures)
    if policy.sbom is Requirement.NONE:
        return Verdict(signed, signers=tuple(sorted(signers)))
    statements = [_statement(keys, digest, raw) for raw in attestations]
    return Verdict(
        signed,
        _attested(statements, SBOM_TYPES),
        _attested(statements, PROVENANCE_TYPES),
        tuple(sorted(signers)),
    )


def fingerprint(pem: str) -> str:
    """SHA-256 of a public key, hexadecimal, however its PEM is written. Raises ValueError where it is no key."""
    try:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        raw = _public(pem).public_bytes(serialization.Encoding.DER, form)
    except _BROKEN as error:
        raise ValueError("a public key in PEM is expected") from error
    return hashlib.sha256(raw).hexdigest()


def is_key(pem: str) -> bool:
    """Whether a text is a public key in PEM."""
    try:
        fingerprint(pem)
    except ValueError:
        return False
    return True


def _public(pem: str) -> Any:
    return serialization.load_pem_public_key(pem.encode())


def _signature(
    keys: Sequence[_Key], identities: Iterable[Identity], digest: str, signatures: Sequence[bytes]
) -> tuple[Signature, frozenset[str]]:
    """The best of all signatures: one good one by a trusted signer is enough, whatever strangers have put beside it."""
    if not signatures:
        return Signature.UNSIGNED, frozenset()
    signers: set[str] = set()
    found = [_one(keys, list(identities), digest, raw, signers) for raw in signatures]
    if signers:
        return Signature.VERIFIED, frozenset(signers)
    return (Signature.UNVERIFIABLE if Signature.UNVERIFIABLE in found else Signature.INVALID), frozenset()


def _one(keys: Sequence[_Key], identities: Sequence[Identity], digest: str, raw: bytes, signers: set[str]) -> Signature:
    """What one signature is worth; a trusted key that made it goes into `signers`."""
    try:
        given = json.loads(raw)
        payload, made = base64.b64decode(given["payload"]), base64.b64decode(given["signature"])
        if json.loads(payload)["critical"]["image"]["docker-manifest-digest"] != digest:
            return Signature.INVALID
        if given.get("certificate"):
            return _keyless(identities, given["certificate"], payload, made)
    except (*_BROKEN, binascii.Error):
        return Signature.INVALID
    good = {key.fingerprint for key in keys if _is_good(key.public, payload, made)}
    signers.update(good)
    return Signature.VERIFIED if good else Signature.INVALID


def _keyless(identities: Sequence[Identity], pem: str, payload: bytes, made: bytes) -> Signature:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    if not _is_good(certificate.public_key(), payload, made):
        return Signature.INVALID
    issuer, subjects = _issuer(certificate), list(_subjects(certificate))
    known = any(
        one.issuer == issuer and any(_fits(one.subject_pattern, subject) for subject in subjects) for one in identities
    )
    return Signature.UNVERIFIABLE if known else Signature.INVALID


def _issuer(certificate: x509.Certificate) -> str:
    for oid in _ISSUERS:
        try:
            value = certificate.extensions.get_extension_for_oid(oid).value
        except x509.ExtensionNotFound:
            continue
        raw = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
        # The newer extension holds a DER string, whose header is two bytes; the older one bare text.
        return (raw[2:] if raw[:1] == b"\x0c" else raw).decode()
    return ""


def _subjects(certificate: x509.Certificate) -> Iterator[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    yield from names.get_values_for_type(x509.UniformResourceIdentifier)
    yield from names.get_values_for_type(x509.RFC822Name)


def _fits(pattern: str, subject: str) -> bool:
    """Whether a subject fits; `*` stands for something within one part of a path, and nothing else is special."""
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch("[^/]*".join(parts), subject) is not None


def _is_good(key: Any, message: bytes, made: bytes) -> bool:
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(made, message, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(made, message)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(made, message, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _statement(keys: Sequence[_Key], digest: str, raw: bytes) -> tuple[str, bool]:
    """Type of an attestation's predicate, and whether it is about these bytes and signed by a trusted key.

    Where the policy has no keys, nobody can be asked for a signature: what it says is then worth what its source is.
    """
    kind = ""
    try:
        envelope = json.loads(raw)
        payload = base64.b64decode(envelope["payload"])
        statement: Mapping[str, Any] = json.loads(payload)
        kind = str(statement["predicateType"])
        named = {f"sha256:{subject['digest']['sha256']}" for subject in statement["subject"]}
        signed = _envelope_bytes(str(envelope["payloadType"]), payload)
        made = [base64.b64decode(one["sig"]) for one in envelope["signatures"]]
        is_signed = not keys or any(_is_good(key.public, signed, one) for key in keys for one in made)
        return kind, digest in named and is_signed and isinstance(statement.get("predicate"), Mapping)
    except (*_BROKEN, binascii.Error):
        return kind, False


def _envelope_bytes(kind: str, payload: bytes) -> bytes:
    """What a DSSE envelope signs (its specification calls it the pre-authentication encoding)."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def _attested(statements: Iterable[tuple[str, bool]], kinds: Sequence[str]) -> Attestation:
    found = [good for kind, good in statements if kind.startswith(tuple(kinds))]
    if not found:
        return Attestation.ABSENT
    return Attestation.PRESENT if any(found) else Attestation.INVALID

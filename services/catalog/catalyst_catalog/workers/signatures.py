"""Checks what is said about an artifact: signatures of its digest, its bill of materials, where it was built.

What is understood, offline and with nothing but what the policy names:
  a signature      cosign's "simple signing": a JSON payload that names the digest, and a signature over its bytes, given
                   as `{"payload": base64, "signature": base64}`, by keyless signers with `certificate`, `chain` and
                   `bundle` as cosign notes them; or Sigstore's bundle, by a key or by a certificate, around a signature of
                   the bytes with that digest or around a statement about it
  an attestation   a DSSE envelope around an in-toto statement whose subject is the digest, alone or in such a bundle
Which signatures without a key are good, `keyless` says.
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
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ..domain.trust import Attestation, Identity, Policy, Requirement, Signature, Verdict
from . import keyless
from .keyless import Anchors, Signed, is_good

SBOM_TYPES = ("https://spdx.dev/Document", "https://cyclonedx.org/bom")
PROVENANCE_TYPES = ("https://slsa.dev/provenance/",)
_ISSUERS = (x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8"), x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1"))
"""Extensions of Sigstore's certificates that name the issuer of the identity, the newer first."""
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm, RecursionError)
"""What parsing a stranger's bytes raises."""


@dataclass(frozen=True, slots=True)
class _Key:
    fingerprint: str
    public: Any


@dataclass(frozen=True, slots=True)
class _Trusted:
    """Whom a policy trusts."""

    keys: Sequence[_Key]
    identities: Sequence[Identity]
    anchors: Anchors


def judge(policy: Policy, digest: str, signatures: Sequence[bytes], attestations: Sequence[bytes]) -> Verdict:
    """What the signatures and attestations of the artifact `digest` are worth under `policy`."""
    keys = [_Key(fingerprint(pem), _public(pem)) for pem in policy.keys]
    trusted = _Trusted(keys, policy.identities, Anchors.of(policy))
    signed, signers = Signature.NOT_REQUIRED, frozenset[str]()
    if policy.signature is not Requirement.NONE:
        signed, signers = _signature(trusted, digest, signatures)
    if policy.sbom is Requirement.NONE:
        return Verdict(signed, signers=tuple(sorted(signers)))
    statements = [_statement(trusted, digest, raw) for raw in attestations]
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


def _signature(trusted: _Trusted, digest: str, signatures: Sequence[bytes]) -> tuple[Signature, frozenset[str]]:
    """The best of all signatures: one good one by a trusted signer is enough, whatever strangers have put beside it."""
    if not signatures:
        return Signature.UNSIGNED, frozenset()
    signers: set[str] = set()
    found = [_one(trusted, digest, raw, signers) for raw in signatures]
    if signers:
        return Signature.VERIFIED, frozenset(signers)
    return (Signature.UNVERIFIABLE if Signature.UNVERIFIABLE in found else Signature.INVALID), frozenset()


def _one(trusted: _Trusted, digest: str, raw: bytes, signers: set[str]) -> Signature:
    """What one signature is worth; a trusted key or identity that made it goes into `signers`."""
    try:
        given = json.loads(raw)
        if "verificationMaterial" in given:
            return _bundled(trusted, digest, given, signers)
        payload, made = base64.b64decode(given["payload"]), base64.b64decode(given["signature"])
        if json.loads(payload)["critical"]["image"]["docker-manifest-digest"] != digest:
            return Signature.INVALID
        if given.get("certificate"):
            signed = keyless.of_cosign(given, payload, made)
            is_made = is_good(signed.certificate.public_key(), payload, made)
            return _keyless(trusted, signed, signers) if is_made else Signature.INVALID
    except (*_BROKEN, binascii.Error):
        return Signature.INVALID
    good = {key.fingerprint for key in trusted.keys if is_good(key.public, payload, made)}
    signers.update(good)
    return Signature.VERIFIED if good else Signature.INVALID


def _bundled(trusted: _Trusted, digest: str, bundle: Mapping[str, Any], signers: set[str]) -> Signature:
    """What a bundle is worth: around a signature of the very bytes, or around a statement about them."""
    _require_bundle(bundle)
    if _has_key(bundle):
        good = _made_by(trusted, digest, bundle)
        signers.update(good)
        return Signature.VERIFIED if good else Signature.INVALID
    if "dsseEnvelope" in bundle:
        statement, signed, is_made = _enveloped(bundle)
        if not is_made or digest not in _subjects_of(statement):
            return Signature.INVALID
        return _keyless(trusted, signed, signers)
    told = bundle["messageSignature"]
    content, made = bytes.fromhex(digest.removeprefix("sha256:")), base64.b64decode(told["signature"])
    signed = keyless.of_bundle(bundle["verificationMaterial"], content, made)
    is_made = is_good(signed.certificate.public_key(), content, made, is_hashed=True)
    return _keyless(trusted, signed, signers) if is_made else Signature.INVALID


def _require_bundle(bundle: Mapping[str, Any]) -> None:
    """Raises ValueError for what calls itself something else."""
    if not str(bundle["mediaType"]).startswith(_BUNDLE):
        raise ValueError("no bundle of Sigstore")


def _enveloped(bundle: Mapping[str, Any]) -> tuple[Mapping[str, Any], Signed, bool]:
    """The statement of a bundle, its signature, and whether the certificate's key made that."""
    payload, said, made = _opened(bundle["dsseEnvelope"])
    signed = keyless.of_bundle(bundle["verificationMaterial"], hashlib.sha256(payload).digest(), made)
    return json.loads(payload), signed, is_good(signed.certificate.public_key(), said, made)


def _has_key(bundle: Mapping[str, Any]) -> bool:
    """Whether its signer has a key of his own, of which a bundle holds but a hint, instead of a certificate."""
    return "publicKey" in bundle["verificationMaterial"]


def _made_by(trusted: _Trusted, digest: str, bundle: Mapping[str, Any]) -> set[str]:
    """Fingerprints of the trusted keys that made a bundle about these bytes; what logs say of it, a key does not need."""
    if "dsseEnvelope" in bundle:
        payload, said, made = _opened(bundle["dsseEnvelope"])
        if digest not in _subjects_of(json.loads(payload)):
            return set()
        return {key.fingerprint for key in trusted.keys if is_good(key.public, said, made)}
    content = bytes.fromhex(digest.removeprefix("sha256:"))
    made = base64.b64decode(bundle["messageSignature"]["signature"])
    return {key.fingerprint for key in trusted.keys if is_good(key.public, content, made, is_hashed=True)}


def _opened(envelope: Mapping[str, Any]) -> tuple[bytes, bytes, bytes]:
    """What an envelope with one signature holds, the bytes that are signed of it, and the signature."""
    payload, (one,) = base64.b64decode(envelope["payload"]), envelope["signatures"]
    return payload, _envelope_bytes(str(envelope["payloadType"]), payload), base64.b64decode(one["sig"])


def _keyless(trusted: _Trusted, signed: Signed, signers: set[str]) -> Signature:
    """What the signature of a certificate's key is worth."""
    issuer, subjects = _issuer(signed.certificate), list(_subjects(signed.certificate))
    known = [
        f"{one.issuer} {one.subject_pattern}"
        for one in trusted.identities
        if one.issuer == issuer and any(_fits(one.subject_pattern, subject) for subject in subjects)
    ]
    found = keyless.check(signed, trusted.anchors) if known else Signature.INVALID
    if found is Signature.VERIFIED:
        signers.update(known)
    return found


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


def _statement(trusted: _Trusted, digest: str, raw: bytes) -> tuple[str, bool]:
    """Type of an attestation's predicate, and whether it is about these bytes and signed by somebody trusted.

    Where the policy names nobody, nobody can be asked for a signature: what it says is then worth what its source is.
    """
    kind = ""
    try:
        given = json.loads(raw)
        if "verificationMaterial" in given:
            _require_bundle(given)
            statement, is_signed = _stated(trusted, digest, given)
        else:
            payload = base64.b64decode(given["payload"])
            statement = json.loads(payload)
            said = _envelope_bytes(str(given["payloadType"]), payload)
            made = [base64.b64decode(one["sig"]) for one in given["signatures"]]
            is_signed = not (trusted.keys or trusted.identities) or any(
                is_good(key.public, said, one) for key in trusted.keys for one in made
            )
        kind = str(statement["predicateType"])
        is_whole = isinstance(statement.get("predicate"), Mapping)
        return kind, digest in _subjects_of(statement) and is_signed and is_whole
    except (*_BROKEN, binascii.Error):
        return kind, False


def _stated(trusted: _Trusted, digest: str, bundle: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The statement of a bundle, and whether somebody trusted signed it."""
    if _has_key(bundle):
        return json.loads(_opened(bundle["dsseEnvelope"])[0]), bool(_made_by(trusted, digest, bundle))
    statement, signed, is_made = _enveloped(bundle)
    return statement, is_made and _keyless(trusted, signed, set()) is Signature.VERIFIED


def _subjects_of(statement: Mapping[str, Any]) -> set[str]:
    """The digests that a statement is about."""
    return {f"sha256:{subject['digest']['sha256']}" for subject in statement["subject"]}


def _envelope_bytes(kind: str, payload: bytes) -> bytes:
    """What a DSSE envelope signs (its specification calls it the pre-authentication encoding)."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def _attested(statements: Iterable[tuple[str, bool]], kinds: Sequence[str]) -> Attestation:
    found = [good for kind, good in statements if kind.startswith(tuple(kinds))]
    if not found:
        return Attestation.ABSENT
    return Attestation.PRESENT if any(found) else Attestation.INVALID

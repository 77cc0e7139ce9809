"""What a source is asked for before a version of it counts as trusted, and what follows from what was found.

Invariants
  fail closed   what is required and missing is rejected, what is broken is quarantined, what cannot be checked now waits;
  kept apart    a version keeps what its check gave and who signed it; whether that is enough is asked of the present
                policy each time, so a key that is taken out of a policy stops new installations at once.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from .inspection import Finding
from .universe import State


class Requirement(Enum):
    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


class Signature(Enum):
    VERIFIED = "verified"
    UNSIGNED = "unsigned"
    INVALID = "invalid"
    UNVERIFIABLE = "unverifiable"
    NOT_REQUIRED = "not_required"


class Attestation(Enum):
    PRESENT = "present"
    ABSENT = "absent"
    INVALID = "invalid"
    NOT_REQUIRED = "not_required"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who may sign without a key of its own: an issuer, and subjects in which `*` stands for one part of a path."""

    issuer: str
    subject_pattern: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked of the artifacts of a source."""

    signature: Requirement = Requirement.NONE
    sbom: Requirement = Requirement.NONE
    keys: tuple[str, ...] = ()
    """Public keys in PEM."""
    identities: tuple[Identity, ...] = ()
    authorities: tuple[str, ...] = ()
    """Certificates in PEM of who certifies signers without a key."""
    log_keys: tuple[str, ...] = ()
    """Public keys in PEM of the logs in which such signatures stand."""
    certificate_log_keys: tuple[str, ...] = ()
    """The same of the logs in which such certificates stand; none: that is not looked at."""

    @property
    def looks(self) -> bool:
        """Whether anything is looked at."""
        return Requirement.NONE is not self.signature or Requirement.NONE is not self.sbom

    def as_document(self) -> dict[str, Any]:
        return {
            "signature": self.signature.value,
            "sbom": self.sbom.value,
            "keys": list(self.keys),
            "identities": [asdict(one) for one in self.identities],
            "authorities": list(self.authorities),
            "log_keys": list(self.log_keys),
            "certificate_log_keys": list(self.certificate_log_keys),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check gave. `signers`: fingerprints of the keys, or identities, whose signatures are good."""

    signature: Signature = Signature.NOT_REQUIRED
    sbom: Attestation = Attestation.NOT_REQUIRED
    provenance: Attestation = Attestation.NOT_REQUIRED
    signers: tuple[str, ...] = ()


UNASKED = Verdict()


def policy_of(document: Mapping[str, Any]) -> Policy:
    """The policy that `as_document` wrote; of an empty document one that asks for nothing."""
    return Policy(
        Requirement(document.get("signature", "none")),
        Requirement(document.get("sbom", "none")),
        tuple(document.get("keys", ())),
        tuple(Identity(**one) for one in document.get("identities", ())),
        tuple(document.get("authorities", ())),
        tuple(document.get("log_keys", ())),
        tuple(document.get("certificate_log_keys", ())),
    )


def fault(policy: Policy, verdict: Verdict) -> tuple[Finding, State] | None:
    """Why an artifact may not be published under `policy`, and where that leaves it; None where it may."""
    is_signed, has_sbom = policy.signature is Requirement.REQUIRED, policy.sbom is Requirement.REQUIRED
    if policy.signature is not Requirement.NONE and verdict.signature is Signature.INVALID:
        return _finding("SIGNATURE_INVALID", "the signature is bad, or not by a trusted signer"), State.QUARANTINED
    if policy.sbom is not Requirement.NONE and verdict.sbom is Attestation.INVALID:
        return _finding("SBOM_INVALID", "the bill of materials is not about these bytes, or broken"), State.QUARANTINED
    if is_signed and verdict.signature is Signature.UNVERIFIABLE:
        return _finding("SIGNATURE_UNVERIFIABLE", "the signature cannot be checked now"), State.PENDING
    if is_signed and verdict.signature is not Signature.VERIFIED:
        return _finding("SIGNATURE_MISSING", "a signature is required, and there is none"), State.REJECTED
    if has_sbom and verdict.sbom is not Attestation.PRESENT:
        return _finding("SBOM_MISSING", "a bill of materials is required, and there is none"), State.REJECTED
    return None


def refuses(policy: Policy, verdict: Verdict, fingerprints: Mapping[str, str]) -> str:
    """Why today's policy keeps a version that was published earlier from new installations; '' where it does not.

    fingerprints   of the policy's keys
    """
    if found := fault(policy, verdict):
        return found[0].message
    trusted = {fingerprints[key] for key in policy.keys if key in fingerprints}
    trusted |= {f"{one.issuer} {one.subject_pattern}" for one in policy.identities}
    if policy.signature is Requirement.REQUIRED and not trusted.intersection(verdict.signers):
        return "none of its signers is trusted any more"
    return ""


def is_lower(policy: Policy, floor: Policy) -> bool:
    """Whether `policy` asks for less than `floor`."""
    order = list(Requirement)
    return any(order.index(getattr(policy, name)) > order.index(getattr(floor, name)) for name in ("signature", "sbom"))


def _finding(reason: str, message: str) -> Finding:
    return Finding("verify", reason, message)

"""What is said about an artifact is checked, and what is required and missing, broken or unknown is not published."""

import hashlib
import json
from collections.abc import Callable

import pytest
from catalyst_catalog.domain import trust
from catalyst_catalog.domain.sources import Scope, default_policy, floor
from catalyst_catalog.domain.trust import Attestation, Identity, Policy, Requirement, Signature, Verdict
from catalyst_catalog.domain.universe import State
from catalyst_catalog.workers.signatures import fingerprint, is_key, judge
from hypothesis import given
from hypothesis import strategies as st

from .signing import SLSA, SPDX, Signer

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
ISSUER, SUBJECT = "https://token.actions.example", "https://github.example/acme/shop/.github/workflows/release.yml"
OURS, THEIRS = Signer(), Signer()
REQUIRED, OPTIONAL, NONE = Requirement
STRICT = Policy(REQUIRED, REQUIRED, (OURS.pem,))


def verdict(*signatures: bytes, policy: Policy = STRICT, attestations: tuple[bytes, ...] = ()) -> Verdict:
    return judge(policy, DIGEST, signatures, attestations)


def test_a_signature_of_these_bytes_by_a_trusted_key_is_good() -> None:
    found = verdict(OURS.sign(DIGEST))
    assert (found.signature, found.signers) == (Signature.VERIFIED, (fingerprint(OURS.pem),))


@pytest.mark.parametrize(
    ("signatures", "state"),
    [
        ((), Signature.UNSIGNED),
        ((OURS.sign(OTHER),), Signature.INVALID),
        ((THEIRS.sign(DIGEST),), Signature.INVALID),
        ((b"rubbish",), Signature.INVALID),
        ((b"[" * 100_000,), Signature.INVALID),
        ((b'{"payload": "bnVsbA==", "signature": ""}',), Signature.INVALID),
        ((THEIRS.sign(DIGEST), OURS.sign(DIGEST)), Signature.VERIFIED),
    ],
)
def test_anything_else_is_not(signatures: tuple[bytes, ...], state: Signature) -> None:
    assert verdict(*signatures).signature is state


CONTENT = b'{"schemaVersion": 2}'
ITS_DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.mark.parametrize(
    "signed", [Signer.bundle, lambda by, _digest: by.bundle_of(CONTENT)], ids=["statement", "bytes"]
)
def test_a_bundle_by_a_trusted_key_is_good_for_its_bytes_alone(signed: Callable[[Signer, str], bytes]) -> None:
    ours = signed(OURS, ITS_DIGEST)
    found = judge(STRICT, ITS_DIGEST, [ours], [])
    assert (found.signature, found.signers) == (Signature.VERIFIED, (fingerprint(OURS.pem),))
    assert judge(STRICT, OTHER, [ours], []).signature is Signature.INVALID
    assert judge(STRICT, ITS_DIGEST, [signed(THEIRS, ITS_DIGEST)], []).signature is Signature.INVALID
    named_otherwise = ours.replace(b"application/vnd.dev.sigstore.bundle", b"application/else")
    assert judge(STRICT, ITS_DIGEST, [named_otherwise], []).signature is Signature.INVALID


def test_a_flipped_bit_makes_a_signature_bad() -> None:
    good = json.loads(OURS.sign(DIGEST))
    flipped = good["signature"][:-6] + ("A" if good["signature"][-6] != "A" else "B") + good["signature"][-5:]
    assert verdict(json.dumps({**good, "signature": flipped}).encode()).signature is Signature.INVALID


@pytest.mark.parametrize(
    ("identity", "state"),
    [
        (Identity(ISSUER, SUBJECT), Signature.UNVERIFIABLE),
        (Identity(ISSUER, "https://github.example/acme/*/.github/workflows/release.yml"), Signature.UNVERIFIABLE),
        (Identity(ISSUER, "https://github.example/*"), Signature.INVALID),
        (Identity("https://another.example", SUBJECT), Signature.INVALID),
        (Identity(ISSUER, SUBJECT.replace("acme", "evil")), Signature.INVALID),
    ],
)
def test_a_keyless_signer_is_known_but_never_taken_for_good_offline(identity: Identity, state: Signature) -> None:
    policy = Policy(REQUIRED, NONE, identities=(identity,))
    signed = OURS.sign(DIGEST, certificate=OURS.certificate(ISSUER, SUBJECT))
    assert verdict(signed, policy=policy).signature is state
    borrowed = THEIRS.sign(DIGEST, certificate=OURS.certificate(ISSUER, SUBJECT))
    assert verdict(borrowed, policy=policy).signature is Signature.INVALID


def test_a_bill_of_materials_is_about_these_bytes_and_by_a_trusted_key() -> None:
    def sbom(*attestations: bytes, policy: Policy = STRICT) -> Attestation:
        return verdict(policy=policy, attestations=attestations).sbom

    assert sbom(OURS.attest(DIGEST)) is Attestation.PRESENT
    assert sbom() is sbom(OURS.attest(DIGEST, SLSA)) is Attestation.ABSENT
    assert sbom(OURS.bundle(DIGEST, SPDX)) is Attestation.PRESENT
    assert sbom(OURS.bundle(OTHER, SPDX)) is sbom(THEIRS.bundle(DIGEST, SPDX)) is Attestation.INVALID
    assert sbom(OURS.attest(OTHER)) is sbom(THEIRS.attest(DIGEST)) is Attestation.INVALID
    assert sbom(THEIRS.attest(DIGEST), policy=Policy(OPTIONAL, OPTIONAL)) is Attestation.PRESENT
    assert verdict(attestations=(OURS.attest(DIGEST, SLSA),)).provenance is Attestation.PRESENT


@pytest.mark.parametrize(
    ("policy", "given", "reason", "state"),
    [
        (STRICT, Verdict(Signature.UNSIGNED, Attestation.ABSENT), "SIGNATURE_MISSING", State.REJECTED),
        (STRICT, Verdict(Signature.VERIFIED, Attestation.ABSENT), "SBOM_MISSING", State.REJECTED),
        (STRICT, Verdict(Signature.INVALID, Attestation.PRESENT), "SIGNATURE_INVALID", State.QUARANTINED),
        (STRICT, Verdict(Signature.VERIFIED, Attestation.INVALID), "SBOM_INVALID", State.QUARANTINED),
        (STRICT, Verdict(Signature.UNVERIFIABLE, Attestation.PRESENT), "SIGNATURE_UNVERIFIABLE", State.PENDING),
        (Policy(OPTIONAL, OPTIONAL), Verdict(Signature.INVALID), "SIGNATURE_INVALID", State.QUARANTINED),
    ],
)
def test_what_is_not_enough_is_not_published(policy: Policy, given: Verdict, reason: str, state: State) -> None:
    found = trust.fault(policy, given)
    assert found is not None
    assert (found[0].reason, found[1]) == (reason, state)


def test_what_is_enough_is() -> None:
    assert trust.fault(STRICT, Verdict(Signature.VERIFIED, Attestation.PRESENT)) is None
    assert trust.fault(Policy(OPTIONAL, OPTIONAL), Verdict(Signature.UNSIGNED, Attestation.ABSENT)) is None
    assert trust.fault(Policy(), Verdict()) is None


def test_a_key_that_is_taken_out_of_the_policy_stops_new_installations() -> None:
    signed = Verdict(Signature.VERIFIED, Attestation.PRESENT, signers=(fingerprint(OURS.pem),))
    prints = {pem: fingerprint(pem) for pem in (OURS.pem, THEIRS.pem)}
    assert trust.refuses(STRICT, signed, prints) == ""
    revoked = Policy(REQUIRED, REQUIRED, (THEIRS.pem,))
    assert trust.refuses(revoked, signed, prints) == "none of its signers is trusted any more"
    assert trust.refuses(Policy(), signed, prints) == ""


def test_a_scope_asks_by_default_what_the_specification_says_and_may_not_be_lowered_below_its_floor() -> None:
    assert (
        default_policy(Scope.PUBLIC, "git")
        == default_policy(Scope.SOVEREIGN, "oci_index")
        == Policy(REQUIRED, REQUIRED)
    )
    assert default_policy(Scope.ORGANIZATION, "git") == Policy(OPTIONAL, OPTIONAL)
    assert default_policy(Scope.PUBLIC, "directory") == Policy(NONE, NONE)
    assert trust.is_lower(Policy(OPTIONAL, REQUIRED), floor(Scope.PUBLIC, "git"))
    assert not trust.is_lower(STRICT, floor(Scope.PUBLIC, "git"))
    assert trust.is_lower(Policy(OPTIONAL, NONE), floor(Scope.ORGANIZATION, "git"))


def test_a_key_is_known_by_what_it_is_not_by_how_it_is_written() -> None:
    assert fingerprint(OURS.pem) == fingerprint(f"\n{OURS.pem}\n")
    assert is_key(OURS.pem)
    assert not is_key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_crash_the_check(one: bytes, two: bytes) -> None:
    found = verdict(one, attestations=(two,))
    assert found.signature is Signature.INVALID
    assert found.sbom is Attestation.ABSENT

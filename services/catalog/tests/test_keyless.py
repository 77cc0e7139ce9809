"""Signatures without keys are checked by authorities and logs that the policy names, and by nothing else."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from catalyst_catalog.domain import trust
from catalyst_catalog.domain.trust import Attestation, Identity, Policy, Requirement, Signature, Verdict
from catalyst_catalog.workers import inclusion
from catalyst_catalog.workers.signatures import judge
from hypothesis import given
from hypothesis import strategies as st

from .signing import SLSA, SPDX, Signer
from .sigstore import ISSUER, SIGNED_AT, SUBJECT, House, authority, key, pem, public

CONTENT = b'{"schemaVersion": 2}'
DIGEST, OTHER = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", f"sha256:{'b' * 64}"
HOUSE, ANOTHER = House(), House()


def verdict(given: Any, policy: Policy | None = None, digest: str = DIGEST) -> Verdict:
    return judge(policy or HOUSE.policy(), digest, [json.dumps(given).encode()], [])


def state(given: Any, policy: Policy | None = None, digest: str = DIGEST) -> Signature:
    return verdict(given, policy, digest).signature


ONE = HOUSE.cosign(DIGEST)


@pytest.mark.parametrize(
    "given",
    [
        ONE,
        ONE | {"bundle": json.dumps(ONE["bundle"])},
        HOUSE.bundle(DIGEST, "https://sigstore.dev/cosign/sign/v1"),
        HOUSE.of_bytes(CONTENT),
    ],
    ids=["cosign", "cosign's annotations", "statement", "bytes"],
)
def test_every_form_is_good_where_authority_and_logs_stand_for_it(given: dict[str, Any]) -> None:
    found = verdict(given)
    assert (found.signature, found.signers) == (Signature.VERIFIED, (f"{ISSUER} {SUBJECT}",))
    assert trust.refuses(HOUSE.policy(), found, {}) == ""
    gone = HOUSE.policy(identities=(Identity(ISSUER, SUBJECT.replace("acme", "other")),))
    assert trust.refuses(gone, found, {}) == "none of its signers is trusted any more"
    assert state(given, digest=OTHER) is Signature.INVALID


LONG = House(length=None)


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        (ONE, ANOTHER.policy()),
        (ONE, HOUSE.policy(authorities=(pem(ANOTHER.root),))),
        (ONE, HOUSE.policy(log_keys=(public(key()),))),
        (ONE, HOUSE.policy(certificate_log_keys=(public(key()),))),
        (ONE, HOUSE.policy(identities=(Identity(ISSUER, "https://github.example/evil/*"),))),
        (ONE | {"chain": ""}, HOUSE.policy()),
        (ONE | {"bundle": HOUSE.cosign(OTHER)["bundle"]}, HOUSE.policy()),
        (ONE | {"bundle": HOUSE.cosign(DIGEST)["bundle"]}, HOUSE.policy()),
        (HOUSE.cosign(DIGEST, taken_at=SIGNED_AT + timedelta(minutes=6)), HOUSE.policy()),
        (HOUSE.cosign(DIGEST, taken_at=SIGNED_AT - timedelta(minutes=6)), HOUSE.policy()),
        (HOUSE.cosign(DIGEST, certificate=HOUSE.certificate(signs_code=False)), HOUSE.policy()),
        (HOUSE.cosign(DIGEST, certificate=HOUSE.certificate(by=key())), HOUSE.policy()),
        (replace(HOUSE, signer=key()).cosign(DIGEST, certificate=HOUSE.certificate()), HOUSE.policy()),
    ],
    ids=[
        "a foreign house", "a foreign authority", "a foreign log", "certificate in no log", "somebody else", "no way up",
        "entry about something else", "entry of another signature", "taken too late", "taken too early", "not for code",
        "issued by nobody",
        "a borrowed certificate",
    ],
)  # fmt: skip
def test_what_any_part_does_not_stand_for_is_bad(given: dict[str, Any], policy: Policy) -> None:
    assert state(given, policy) is Signature.INVALID


def test_an_authority_issues_no_further_than_it_may() -> None:
    for house, found in ((HOUSE, Signature.INVALID), (LONG, Signature.VERIFIED)):
        below = key()
        lowest = authority("middle", below, house.middle_key, "middle")
        given = replace(house, middle_key=below).cosign(DIGEST) | {"chain": pem(lowest) + pem(house.middle)}
        assert state(given, house.policy()) is found


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        (ONE, HOUSE.policy(authorities=())),
        (ONE, HOUSE.policy(log_keys=())),
        (ONE | {"bundle": None}, HOUSE.policy()),
    ],
    ids=["no authority named", "no log named", "no promise of a log"],
)
def test_what_cannot_be_checked_here_waits(given: dict[str, Any], policy: Policy) -> None:
    assert state(given, policy) is Signature.UNVERIFIABLE


def test_without_logs_of_certificates_in_the_policy_none_is_asked_for() -> None:
    assert state(ONE, HOUSE.policy(certificate_log_keys=())) is Signature.VERIFIED


def test_a_bill_of_materials_by_a_keyless_signer() -> None:
    def found(*given: Any, policy: Policy | None = None) -> Verdict:
        strict = policy or HOUSE.policy(sbom=Requirement.REQUIRED)
        return judge(strict, DIGEST, [], [json.dumps(one).encode() for one in given])

    assert found(HOUSE.bundle(DIGEST, SPDX), HOUSE.bundle(DIGEST, SLSA)).sbom is Attestation.PRESENT
    assert found(HOUSE.bundle(DIGEST, SLSA)).provenance is Attestation.PRESENT
    assert found(HOUSE.bundle(OTHER, SPDX)).sbom is Attestation.INVALID
    assert found(ANOTHER.bundle(DIGEST, SPDX)).sbom is Attestation.INVALID
    # Where signers are named, what nobody of them signed is worth nothing, though the policy has no keys.
    assert found(json.loads(Signer().attest(DIGEST))).sbom is Attestation.INVALID


def proved(**changes: Any) -> dict[str, Any]:
    """A bundle whose entry's proof says something else."""
    bundle: dict[str, Any] = json.loads(json.dumps(PROVED))
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    entry["inclusionProof"] |= changes
    return bundle


PROVED = HOUSE.of_bytes(CONTENT)
PROOF = PROVED["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
BODY = base64.b64decode(PROVED["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"])
FOREIGN = HOUSE.proof(b"another entry")


@pytest.mark.parametrize(
    "changes",
    [
        {"hashes": PROOF["hashes"][:-1]},
        {"hashes": [*PROOF["hashes"], PROOF["hashes"][0]]},
        {"hashes": PROOF["hashes"][::-1]},
        {"logIndex": "3"},
        {"logIndex": "7"},
        {"logIndex": "-1"},
        {"treeSize": "8"},
        FOREIGN,
        {"rootHash": FOREIGN["rootHash"]},
        {"checkpoint": FOREIGN["checkpoint"]},
        {"checkpoint": {"envelope": HOUSE.note(7, PROOF["rootHash"], by=key())}},
        {"checkpoint": {"envelope": ANOTHER.note(7, PROOF["rootHash"])}},
        {"checkpoint": {"envelope": PROOF["checkpoint"]["envelope"].partition("\n\n")[0] + "\n\n"}},
        {"checkpoint": {"envelope": "no note"}},
    ],
    ids=[
        "a hash too few", "a hash too many", "hashes in another order", "another place", "past the end", "before the first",
        "another size", "of another entry", "another root", "checkpoint of another tree", "signed by nobody known",
        "signed by another log", "not signed", "no checkpoint",
    ],
)  # fmt: skip
def test_an_entry_whose_proof_does_not_hold_is_no_evidence(changes: dict[str, Any]) -> None:
    assert state(PROVED) is Signature.VERIFIED
    assert state(proved(**changes)) is Signature.INVALID


def test_a_proof_whose_root_nobody_signed_is_none_and_the_promise_counts() -> None:
    assert state(proved(checkpoint={})) is Signature.VERIFIED
    assert state(proved(checkpoint={}, hashes=[])) is Signature.VERIFIED


@given(st.integers(1, 70).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))), st.data())
def test_a_proof_leads_to_the_root_from_its_own_place_alone(place: tuple[int, int], data: st.DataObject) -> None:
    index, size = place
    told = HOUSE.proof(BODY, index=index, size=size)
    proof = inclusion.of_bundle(told)
    assert proof is not None
    assert inclusion.holds(proof, BODY)
    assert not inclusion.holds(proof, BODY + b" ")
    elsewhere = data.draw(st.integers(-1, size).filter(lambda n: n != index))
    assert not inclusion.holds(replace(proof, index=elsewhere), BODY)
    if proof.hashes:
        wrong = data.draw(st.integers(0, len(proof.hashes) - 1))
        hashes = tuple(b"\0" * 32 if n == wrong else one for n, one in enumerate(proof.hashes))
        assert not inclusion.holds(replace(proof, hashes=hashes), BODY)


@pytest.mark.parametrize("part", ["verificationMaterial", "messageSignature", "mediaType"])
def test_a_bundle_that_lacks_a_part_is_bad(part: str) -> None:
    bundle = HOUSE.of_bytes(CONTENT)
    del bundle[part]
    assert state(bundle) is Signature.INVALID

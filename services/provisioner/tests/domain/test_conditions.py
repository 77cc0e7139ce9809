"""Conditions that come from a look: certificate, credentials, hand-off. What nobody has looked at is not in doubt."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from catalyst_provisioner.domain import conditions
from catalyst_provisioner.domain.conditions import Facts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BARE = Facts(NOON, NOON, NOON, NOON, NOON, (), True)


def status(facts: Facts, kind: str) -> str:
    found = [c for c in conditions.of_sovereign(facts, NOON) if c.type == kind]
    return found[0].status.removeprefix("STATUS_") if found else "absent"


@pytest.mark.parametrize("kind", ["TLSReady", "CredentialsValid", "HandedOff", "DriftFree"])
def test_what_nobody_has_looked_at_has_no_condition(kind: str) -> None:
    assert status(BARE, kind) == "absent"


@pytest.mark.parametrize(("days", "is_ready"), [(90, "TRUE"), (7, "TRUE"), (6, "FALSE"), (-1, "FALSE")])
def test_a_certificate_counts_while_a_week_is_left(days: int, is_ready: str) -> None:
    assert status(replace(BARE, tls_until=NOON + timedelta(days=days)), "TLSReady") == is_ready


@pytest.mark.parametrize(
    ("checks", "expected"),
    [(["valid"], "TRUE"), (["valid", "rejected"], "FALSE"), (["unsure", "valid"], "UNKNOWN"), (["unsure", "rejected"], "FALSE")],
)  # fmt: skip
def test_credentials_are_valid_while_none_was_rejected(checks: list[str], expected: str) -> None:
    rows = tuple((f"credentials/c{i}", word, NOON) for i, word in enumerate(checks))
    assert status(replace(BARE, checks=rows), "CredentialsValid") == expected


def test_a_hand_off_shows_only_where_it_was_wished() -> None:
    assert status(replace(BARE, handed_off_at=NOON), "HandedOff") == "TRUE"
    assert status(replace(BARE, hand_off_wished=True), "HandedOff") == "FALSE"

"""`catalyst doctor` about NATS: each thing that can be wrong is found, by its own finding, with a remedy."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from catalyst_cli.bus_checks import DAEMONS, judge

Report = dict[str, Any]
HEALTHY: Report = {
    "daemon": "billing", "connected": True, "serverVersion": "2.15.1", "jetstream": "TRUTH_YES",
    "syncAlways": "TRUTH_YES", "streams": [{"name": "CATALYST_BILLING", "replicas": 3, "messages": "7"}],
    "consumers": [
        {"name": "billing-from-provisioner", "exists": True, "pending": "0", "unacknowledged": "0", "deadLetters": "0"}
    ],
    "unpublished": "0",
}  # fmt: skip


def found(spoil: Callable[[Report], Any]) -> dict[str, tuple[str, str]]:
    """Checks that are not well, where one report is spoilt."""
    bad = copy.deepcopy(HEALTHY)
    spoil(bad)
    others = [{**copy.deepcopy(HEALTHY), "daemon": name} for name in sorted(DAEMONS - {"billing"})]
    findings = judge([*others, bad])
    assert all(f.remedy for f in findings if f.status != "ok")
    return {f.check: (f.status, f.message) for f in findings if f.status != "ok"}


def test_where_all_is_well_nothing_is_found() -> None:
    assert found(lambda report: None) == {}


@pytest.mark.parametrize(
    ("check", "status", "says", "spoil"),
    [
        ("daemons", "warning", "no answer of billing", lambda r: r.update(daemon="somebody")),
        ("nats", "failed", "billing", lambda r: r.update(connected=False)),
        ("nats-version", "failed", "2.12.2", lambda r: r.update(serverVersion="2.12.2")),
        ("nats-version", "failed", "2.9.10", lambda r: r.update(serverVersion="2.9.10")),
        ("nats-version", "failed", "rubbish", lambda r: r.update(serverVersion="rubbish")),
        ("jetstream", "failed", "off", lambda r: r.update(jetstream="TRUTH_NO")),
        ("nats-sync", "failed", "power failure", lambda r: r.update(syncAlways="TRUTH_NO")),
        ("streams", "warning", "CATALYST_BILLING", lambda r: r["streams"][0].update(replicas=1)),
        ("consumers", "failed", "billing-from-provisioner", lambda r: r["consumers"][0].update(exists=False)),
        ("dead-letters", "warning", "3 of billing-", lambda r: r["consumers"][0].update(deadLetters="3")),
        ("outbox", "warning", "5000 of billing", lambda r: r.update(unpublished="5000")),
    ],
)
def test_what_is_wrong_is_found_by_its_own_check(
    check: str, status: str, says: str, spoil: Callable[[Report], Any]
) -> None:
    wrong = found(spoil)
    assert list(wrong) == [check]
    assert wrong[check][0] == status
    assert says in wrong[check][1]


@pytest.mark.parametrize("version", ["2.12.3", "2.12.10", "2.13.0-beta.1", "3.0.0"])
def test_these_versions_are_new_enough(version: str) -> None:
    assert found(lambda r: r.update(serverVersion=version)) == {}


def of_all(**said: Any) -> list[Report]:
    """A report of each daemon, each saying so."""
    return [{**HEALTHY, "daemon": name, **said} for name in sorted(DAEMONS)]


def test_what_nobody_could_ask_is_neither_well_nor_failed() -> None:
    unknown = of_all(syncAlways="TRUTH_UNSPECIFIED", jetstream="TRUTH_UNSPECIFIED")
    assert {f.check: f.status for f in judge(unknown) if f.status != "ok"} == {
        "nats-sync": "warning",
        "jetstream": "warning",
    }


def test_no_report_and_no_connection_at_all_are_failures() -> None:
    assert [f.status for f in judge([])] == ["failed"]
    assert [f.status for f in judge(of_all(connected=False))] == ["ok", "failed"]

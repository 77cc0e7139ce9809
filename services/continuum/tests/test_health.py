"""How a slot fares after a move."""

from dataclasses import replace
from typing import Any

import pytest
from catalyst_continuum.domain import health, status
from catalyst_continuum.domain.health import Result

from services.continuum.tests.manifests import WEST
from services.continuum.tests.test_status import GOOD, SPEC

FINE = replace(GOOD, latency=0.02, usual_latency=0.015)


def found(unsent: int = 0, **changes: Any) -> dict[str, Result]:
    facts = replace(FINE, **changes)
    seen = health.looks(facts, status.conditions(facts, SPEC), unsent, has_standby=True)
    return {name: one.result for name, one in seen.items()}


def test_a_slot_is_healthy_where_all_four_looks_say_so() -> None:
    assert set(found().values()) == {Result.PASS}
    assert health.is_healthy(health.looks(FINE, status.conditions(FINE, SPEC), 0, has_standby=True))


@pytest.mark.parametrize(
    ("changes", "name", "result"),
    [
        ({"lags": {WEST: 60.0}}, "replicas_healthy", Result.BLOCK),
        ({"lags": {}}, "replicas_healthy", Result.UNKNOWN),
        ({"traffic": {"ns1": 2}}, "dns_probes", Result.BLOCK),
        ({"traffic": None}, "dns_probes", Result.UNKNOWN),
        ({"latency": 0.09}, "latency_normal", Result.BLOCK),
        ({"usual_latency": None}, "latency_normal", Result.UNKNOWN),
        ({"unsent": 2}, "audit_posted", Result.BLOCK),
    ],
)  # fmt: skip - a table
def test_each_look_can_fail_and_what_is_unknown_is_not_healthy(
    changes: dict[str, Any], name: str, result: Result
) -> None:
    assert found(**changes)[name] is result


def test_of_a_slot_that_nobody_looked_at_nothing_is_healthy() -> None:
    seen = health.looks(None, (), 0, has_standby=True)
    assert [seen[name].result for name in ("replicas_healthy", "dns_probes", "latency_normal")] == [Result.UNKNOWN] * 3

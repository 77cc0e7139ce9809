"""The words of the cloud contract."""

from catalyst_sdk import Manifest
from catalyst_sdk.cloud import (
    Action,
    Change,
    ClusterRequest,
    Finding,
    InfraPlan,
    NodePool,
    Price,
    Severity,
    cloud_manifest,
    owned,
)

REQUEST = ClusterRequest(
    "sovereigns/a", "a.example", "sb-east-mgt-prod", "x", "east", {"l": "1"}, NodePool("cp", "s", 1)
)


def change(action: Action) -> Change:
    return Change(action, "network", "n", "network", "east")


def test_a_plan_of_no_ops_is_empty_and_any_other_action_is_not() -> None:
    assert InfraPlan(REQUEST, (change(Action.NO_OP),)).is_empty
    assert not any(InfraPlan(REQUEST, (change(a),)).is_empty for a in Action if a is not Action.NO_OP)


def test_an_error_finding_makes_a_plan_not_applicable_and_a_warning_does_not() -> None:
    def plan(severity: Severity) -> InfraPlan:
        return InfraPlan(REQUEST, (), findings=(Finding("quota.servers", severity, "region", "full"),))

    assert [plan(severity).is_applicable for severity in Severity] == [False, True, True]


def test_nothing_is_owned_without_labels_or_with_a_part_of_them() -> None:
    assert owned({"a": "1"}, {"a": "1", "b": "2"})
    assert not owned({"a": "1", "b": "2"}, {"a": "1"})
    assert not owned({}, {"a": "1"})


def test_an_hour_is_rounded_up_to_minor_units() -> None:
    assert [Price("EUR", micros, 0).hour_minor for micros in (0, 1, 10_000, 10_001)] == [0, 1, 1, 2]


def test_a_manifest_names_provider_codes_and_regions() -> None:
    extra = {
        "naming": {"code": "ac", "letter": "a"},
        "regions": [{"id": "r1", "code": "one", "letter": "o"}],
        "simulated": True,
    }
    facts = cloud_manifest(Manifest("cloud_provider", "acme", ">=1,<2", ("network",), extra=extra))
    assert (facts.provider, facts.code, facts.simulated) == ("acme", "ac", True)
    assert facts.region("r1")
    assert facts.region("r2") is None

"""Verbs of daily work give the spec that a person would have written."""

from typing import Any

import pytest
from catalyst_provisioner.domain import plan_diff, previews

from .plan_parts import CLOUDS, FACTS, cluster, document

EAST = "sb-east-mgt-dev"
KEY = "ssh-ed25519 AAAA me@there"
POOL = f"spec.clusters[sandbox/east/mgt/dev].worker_pools[general]"  # noqa: F541 - reads as its neighbours


def after(verb: str, kind: str, target: str = "", *, base: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return previews.changed(base or document(), CLOUDS, FACTS, verb=verb, kind=kind, target=target, spec=spec)


def differences(made: dict[str, Any], base: dict[str, Any] | None = None) -> list[tuple[str, Any]]:
    return [(path, now) for path, _, now in plan_diff.differences({"spec": base or document()}, {"spec": made})]


@pytest.mark.parametrize(
    ("verb", "kind", "target", "spec", "wanted"),
    [
        ("SCALE", "POOL", f"{EAST}/general", {"count": 4.0}, [(f"{POOL}.count", 4)]),
        ("RESIZE", "POOL", f"{EAST}/general", {"size": "sb8"}, [(f"{POOL}.size", "sb8")]),
        ("SET_BOUNDS", "POOL", f"{EAST}/general", {"min": 1.0, "max": 5.0}, [(f"{POOL}.min", 1), (f"{POOL}.max", 5)]),
        ("DELETE", "POOL", f"{EAST}/general", {}, [(POOL, None)]),
        ("UPGRADE", "CLUSTER", EAST, {"k3s_version": "v1.32.0+k3s1"},
         [("spec.clusters[sandbox/east/mgt/dev].k3s_version", "v1.32.0+k3s1")]),
        ("ADD", "REGION", "", {"region": "west"}, [("spec.clusters[sandbox/west/mgt/dev]", cluster("west"))]),
        ("DELETE", "CLUSTER", EAST, {}, [("spec.clusters[sandbox/east/mgt/dev]", None)]),
        ("REMOVE", "REGION", "sandbox/east", {}, [("spec.clusters[sandbox/east/mgt/dev]", None)]),
        ("ADD", "SSH_KEY", "", {"key": KEY}, [("spec.access", {"ssh_public_keys": [KEY]})]),
        ("UPDATE", "COMPONENT", "bp-a", {"values": {"x": 1}}, [("spec.components", {"values": {"bp-a": {"x": 1}}})]),
        ("UPGRADE", "COMPONENT", "bp-a", {}, []),
        ("UPDATE", "LOAD_BALANCER", EAST, {"type": "sblb"},
         [("spec.clusters[sandbox/east/mgt/dev].load_balancer", {"type": "sblb"})]),
    ],
)  # fmt: skip
def test_verbs(verb: str, kind: str, target: str, spec: dict[str, Any], wanted: list[tuple[str, Any]]) -> None:
    assert differences(after(verb, kind, target, **spec)) == wanted


def test_what_is_added_and_removed_again_leaves_the_choice_of_components_as_it_reads() -> None:
    added = after("ADD", "COMPONENT", "bp-x")
    assert added["components"] == {"exclude": [], "include": ["bp-x"]}
    removed = after("REMOVE", "COMPONENT", "bp-x", base=added)
    assert removed["components"] == {"exclude": ["bp-x"], "include": []}
    listened = after("ADD", "LISTENER", EAST, port=8443.0, target_port=31444.0)
    assert listened["clusters"][0]["load_balancer"] == {"listeners": [{"port": 8443, "target_port": 31444}]}
    assert after("REMOVE", "LISTENER", f"{EAST}/8443", base=listened)["clusters"][0]["load_balancer"]["listeners"] == []
    keyed = after("ADD", "SSH_KEY", key=KEY)
    assert after("REMOVE", "SSH_KEY", "me@there", base=keyed)["access"]["ssh_public_keys"] == []


def test_bounds_that_were_set_hold_a_new_count() -> None:
    base = document(cluster(worker_pools=[{"name": "general", "size": "sb4", "count": 2, "min": 2, "max": 3}]))
    pool = after("SCALE", "POOL", f"{EAST}/general", base=base, count=5)["clusters"][0]["worker_pools"][0]
    assert (pool["min"], pool["count"], pool["max"]) == (2, 5, 5)


@pytest.mark.parametrize(("verb", "kind", "target"), [
    ("SCALE", "POOL", f"{EAST}/nothing"), ("SCALE", "POOL", "nowhere/general"), ("DELETE", "CLUSTER", "nowhere"),
    ("REMOVE", "REGION", "sandbox/west"), ("REMOVE", "SSH_KEY", "nobody"), ("REMOVE", "LISTENER", f"{EAST}/1"),
])  # fmt: skip
def test_what_is_not_there_cannot_be_changed(verb: str, kind: str, target: str) -> None:
    with pytest.raises(previews.TargetNotFound):
        after(verb, kind, target)


def test_what_the_spec_has_no_word_for_is_no_verb() -> None:
    with pytest.raises(previews.VerbMissing):
        after("REBOOT", "NODE", "n-1")


def test_a_verb_leaves_the_spec_that_it_was_given_as_it_is() -> None:
    base = document()
    after("ADD", "REGION", base=base, region="west")
    assert base == document()

"""Steps of versions, decided without a cluster."""

from dataclasses import replace
from typing import cast

import pytest
from catalyst_provisioner.domain import upgrades, wishes
from catalyst_sdk.cloud import Action, Binary, ClusterRequest, InfraPlan

from .plan_parts import CLOUDS, FACTS, change, document

WISH = wishes.read(document(), CLOUDS, FACTS)
NAME = WISH.clusters[0].name


@pytest.mark.parametrize(
    ("runs", "wished", "rises", "codes"),
    [
        ("v1.31.4+k3s1", "v1.32.0+k3s1", True, []),
        ("v1.31.4+k3s1", "v1.31.4+k3s2", True, []),
        ("v1.29.4+k3s1", "v1.31.4+k3s1", True, ["upgrade.minor"]),
        ("v1.32.0+k3s1", "v1.31.4+k3s1", True, ["upgrade.minor"]),
        ("v1.31.4+k3s1", "v1.31.4+k3s1", False, []),
        ("simulated", "v1.31.4+k3s1", False, []),
        ("", "v1.31.4+k3s1", False, []),
    ],
)
def test_one_minor_at_a_time_from_what_runs(runs: str, wished: str, rises: bool, codes: list[str]) -> None:
    wish = replace(WISH, clusters=(replace(WISH.clusters[0], k3s=wished),))
    rising, found = upgrades.of(wish, {NAME: runs})
    assert (bool(rising), [f.code for f in found]) == (rises, codes)


def test_a_spec_that_names_an_older_version_is_raised_and_one_that_names_none_is_left() -> None:
    document = {"clusters": [{"k3s_version": "v1.30.1+k3s1"}, {"k3s_version": "v1.32.0+k3s1"}, {}]}
    raised = upgrades.raised(document, "v1.31.4+k3s1")["clusters"]
    assert raised == [{"k3s_version": "v1.31.4+k3s1"}, {"k3s_version": "v1.32.0+k3s1"}, {}]


@pytest.mark.parametrize(
    ("known", "rising", "action", "codes"),
    [
        ([], set(), Action.CREATE, ["boot.version"]),
        ([], {NAME}, Action.NO_OP, ["boot.version"]),
        ([], set(), Action.NO_OP, []),
        ([Binary("amd64", "https://a/k3s", "0" * 64)], {NAME}, Action.CREATE, []),
        (None, {NAME}, Action.CREATE, []),
    ],
)
def test_a_version_that_servers_would_fetch_has_to_lie_somewhere(
    known: list[Binary] | None, rising: set[str], action: Action, codes: list[str]
) -> None:
    infra = InfraPlan(cast(ClusterRequest, None), (change(action),), (), ())
    found = list(upgrades.unfetched(WISH, {NAME: infra}, rising, lambda provider, version: known))
    assert [(f.code, f.path) for f in found] == [(code, "spec.clusters[0].k3s_version") for code in codes]

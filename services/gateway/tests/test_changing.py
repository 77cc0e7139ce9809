"""Changing a Sovereign's spec: what the form means, what it leaves alone, and that nothing is stored before a plan is applied."""

from typing import Any

import pytest
from catalyst_gateway.console.changing import changed, standing
from catalyst_sdk import Code, Refused, Violation

from .looking import Looking

NAME = "sovereigns/acme"
CLUSTER: dict[str, Any] = {
    "provider": "sandbox",
    "region": "east",
    "buildingBlock": "mgt",
    "hosts": ["mgt", "rtz", "dmz"],
    "envType": "dev",
    "credential": {"name": "credentials/sandbox-simulated"},
    "controlPlane": {"size": "sb8", "count": 1},
    "workerPools": [{"name": "general", "size": "sb4", "count": 1, "labels": {"a": "b"}}],
}  # fmt: skip - a document
SPEC: dict[str, Any] = {
    "organization": {"slug": "acme"},
    "clusters": [CLUSTER],
    "components": {"include": ["bp-temporal"], "values": {"bp-temporal": {"replicas": 2}}},
}
OFFERS = [
    {"name": "providers/sandbox/regions/east/offers/sb4", "size": "sb4", "vcpu": 2, "memoryMib": "4096"},
    {"name": "providers/sandbox/regions/east/offers/sb8", "size": "sb8", "vcpu": 4, "memoryMib": "8192"},
]


class WrongSpec(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SPEC_INVALID", "2 fields of the spec are wrong"


@pytest.fixture
def sovereign(look: Looking) -> Looking:
    look.daemons.answer("GetSovereign", {"name": NAME, "state": "STATE_ACTIVE", "etag": '"7"', "spec": SPEC})
    look.daemons.answer("ListRegions", {"regions": [{"name": "providers/sandbox/regions/west", "offered": True}]})
    look.daemons.answer("ListOffers", {"offers": OFFERS})
    look.daemons.answer("provisioner.CreatePlan", {"name": f"{NAME}/plans/p1"})
    return look


def test_a_form_that_was_left_alone_asks_for_the_spec_that_stands() -> None:
    assert changed(SPEC, standing(SPEC)) == ({**SPEC, "components": {**SPEC["components"], "exclude": []}}, {})


def test_what_no_number_is_is_told_at_its_field() -> None:
    form = {**standing(SPEC), "clusters[0].worker_pools[0].count": "-1", "more.region": "elsewhere/x"}
    assert sorted(changed(SPEC, form)[1]) == ["clusters[0].worker_pools[0].count", "more.region"]


async def test_a_change_becomes_a_plan_of_the_whole_spec_and_is_not_stored(sovereign: Looking) -> None:
    assert f"/console/{NAME}/change" in (await sovereign.at(f"/console/{NAME}")).links
    seen = await sovereign.at(f"/console/{NAME}/change")
    form = {
        **seen.fields,
        "clusters[0].worker_pools[0].count": "3",
        "clusters[0].worker_pools[0].size": "sb8",
        "clusters[0].more.name": "batch",
        "clusters[0].more.count": "2",
        "clusters[0].more.size": "sb4",
        "more.region": "sandbox/west",
        "components.include": "temporal, librechat",
    }  # fmt: skip - a form
    form.pop("components.confirm_cascade")
    made = await sovereign.send(f"/console/{NAME}/change", form)
    assert made.headers["location"] == f"/console/{NAME}/plans/p1"
    (wish,) = sovereign.daemons.wishes("provisioner.CreatePlan")
    here, there = wish.spec.clusters
    assert [(p.name, p.size, p.count, dict(p.labels)) for p in here.worker_pools] == [
        ("general", "sb8", 3, {"a": "b"}),
        ("batch", "sb4", 2, {}),
    ]  # fmt: skip - a table
    assert (there.region, there.building_block, list(there.hosts), there.credential.name) == (
        "west",
        "rtz",
        ["rtz", "dmz"],
        "credentials/sandbox-simulated",
    )  # fmt: skip - a row
    assert (list(wish.spec.components.include), wish.etag) == (["bp-temporal", "bp-librechat"], '"7"')
    assert not sovereign.daemons.wishes("UpdateSovereign")


async def test_what_stands_against_a_change_stands_at_its_field_with_what_was_typed(sovereign: Looking) -> None:
    against = (
        Violation("spec.clusters[0].worker_pools[1].size", "is not sold here", "size"),
        Violation("spec.clusters[1].region", "has two of these already", "region"),
    )
    sovereign.daemons.answer("provisioner.CreatePlan", WrongSpec(violations=against))
    form = {
        **standing(SPEC),
        "clusters[0].more.name": "batch",
        "clusters[0].more.count": "2",
        "more.region": "sandbox/west",
    }  # fmt: skip - a form
    seen = await sovereign.send(f"/console/{NAME}/change", form)
    assert seen.status == 422
    for field in ("clusters[0].more.size", "more.region"):
        assert f'id="{field}-fault"' in seen.html
    assert seen.fields["clusters[0].more.name"] == "batch"

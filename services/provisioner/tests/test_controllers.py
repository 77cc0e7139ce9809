"""Sovereign objects over the daemon's own services, and what is shown of provisioning."""

import asyncio
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_kube import KINDS
from catalyst_kube.linting import lint
from catalyst_provisioner.controllers import owned, states
from catalyst_provisioner.controllers.sovereigns import requester_of
from catalyst_provisioner.controllers.states import PHASES, onward
from catalyst_testkit import eventually
from hypothesis import given
from hypothesis import strategies as st

from lib.kube.tests.memory import ClusterInMemory, reconciling

from .conftest import Bench, spec

pytestmark = pytest.mark.either_database
OBJECT: dict[str, Any] = {
    "fqdn": "omantel.omani.works",
    "deploymentId": None,
    "bcpTopology": "single-region",
    "provider": None,
    "regions": None,
    "parentDomains": None,
    "keycloakTopology": None,
    "buildingBlocks": None,
}  # fmt: skip - a table
DEFAULTS = {key: value for key, value in spec().items() if key in ("organization", "clusters")}


@pytest.mark.parametrize(
    ("applied_by", "prefix", "subject"),
    [
        ("oidc:ada", "oidc:", "ada"),
        ("ada", "", "ada"),
        ("ada", "oidc:", ""),
        ("oidc:", "oidc:", ""),
        ("", "", ""),
        ("system:serviceaccount:flux-system:flux", "", ""),
        ("ada", None, ""),
    ],
)  # fmt: skip - a table
def test_who_applied_an_object_is_known_where_the_api_server_says_it_of_a_person(
    applied_by: str, prefix: str | None, subject: str
) -> None:
    one = {"metadata": {"annotations": {"catalyst.openova.io/applied-by": applied_by}}}
    told = requester_of(one, prefix)
    assert (told.subject if told else "") == subject


def servicers(bench: Bench) -> dict[str, Any]:
    return {each.name.rpartition(".")[2]: each.servicer for each in bench.daemon.daemon.services}


async def test_a_sovereign_is_made_by_its_object_shown_on_its_way_and_stays_when_the_object_goes(bench: Bench) -> None:
    cluster = ClusterInMemory("Sovereign")
    cluster.put("omantel", **OBJECT)
    cluster.annotate("omantel", applied_by="oidc:ada")
    shown = states(servicers(bench), cluster, "catalyst-system")  # type: ignore[arg-type]
    stop = asyncio.Event()
    showing = asyncio.create_task(shown.run(stop))
    try:
        async with reconciling(cluster, *owned(servicers(bench), DEFAULTS, "oidc:")) as wrong:
            await eventually(lambda: cluster.condition("omantel", "Ready").startswith("True"), within=90)
            assert cluster.status("omantel")["phase"] == "Ready"
            assert cluster.status("omantel")["regions"][0]["code"] == "east"
            (plan,) = (await bench.plans.ListPlans(plans_of())).plans
            assert plan.requester == "ada", "who approves it has to be somebody else"
            assert (await bench.run_of((await bench.get()).last_run)).requester == "ada"

            def state() -> dict[str, Any]:
                found = [one for (kind, _), one in cluster.objects.items() if kind == "ProvisioningState"]
                return found[0] if found else {}

            await eventually(lambda: state().get("status", {}).get("phase") == "ready", within=60)
            assert lint({key: value for key, value in state().items() if key != "status"}) == []
            assert state()["spec"]["sovereignFQDN"] == "omantel.omani.works"
            assert set(state()["status"]["componentStates"].values()) == {"installed"}
            writes = len(cluster.writes)
            await shown.look()
            await shown.look()
            assert len(cluster.writes) == writes, "what stands still is not written"
            cluster.delete("omantel")
            await eventually(lambda: not cluster.has("omantel"), within=60)
            assert wrong == []
    finally:
        stop.set()
        await showing
    assert "Kept" in {note["reason"] for note in cluster.notes.values()}
    assert (await bench.get()).state == pb.Sovereign.STATE_ACTIVE


def plans_of() -> Any:
    from catalyst.provisioner.v1 import service_pb2 as rpc

    return rpc.ListPlansRequest(parent="sovereigns/omantel")


async def test_an_object_that_means_another_sovereign_is_refused_and_a_draft_goes_with_its_object(bench: Bench) -> None:
    await bench.create()
    cluster = ClusterInMemory("Sovereign")
    cluster.put("omantel", **OBJECT | {"fqdn": "other.omani.works"})
    cluster.put("nobody", **OBJECT | {"fqdn": "nobody.omani.works", "deploymentId": "0" * 16})
    cluster.put("outside", **OBJECT | {"parentDomains": [{"name": "omani.trade", "role": "primary"}]})
    async with reconciling(cluster, *owned(servicers(bench), DEFAULTS)):
        for name, reason in (
            ("omantel", "FqdnForeign"),
            ("nobody", "DeploymentUnknown"),
            ("outside", "FqdnOutsidePool"),
        ):  # fmt: skip - a table
            await eventually(lambda n=name, r=reason: cluster.condition(n, "Accepted") == f"False {r}", within=60)
        cluster.put("nobody", deploymentId=None)
        bench.world.names.away = True
        cluster.delete("omantel")
        await eventually(lambda: not cluster.has("omantel"), within=60)


PHASE = st.sampled_from(PHASES)


@given(st.lists(PHASE, min_size=1, max_size=8))
def test_a_phase_of_one_run_never_goes_back(told: list[str]) -> None:
    seen = ""
    for phase in told:
        now = onward(seen, phase)
        if seen and seen != "failed":
            assert PHASES.index(now) >= PHASES.index(seen)
        seen = now


def test_every_phase_is_one_of_the_definition() -> None:
    field = KINDS["ProvisioningState"].status.model_fields["phase"]
    assert set(PHASES) == set(field.annotation.__args__)  # type: ignore[union-attr]

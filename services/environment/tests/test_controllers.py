"""Objects of a cluster, over the daemon's own services: what they wish is made, what they may not is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst_environment.controllers import owned
from catalyst_environment.controllers.applications import demand_home, idle, placed, status_of
from catalyst_environment.controllers.policies import asked_for
from catalyst_kube.controller import Unacceptable
from catalyst_testkit import eventually

from lib.kube.tests.memory import MOST_WRITES, ClusterInMemory, reconciling

from .house import A_MOMENT, House
from .shop import ENV, Shop

pytestmark = pytest.mark.either_database
State = pb.Organization


@asynccontextmanager
async def controlling(house: House, cluster: ClusterInMemory) -> AsyncIterator[None]:
    servicers = {each.name.rpartition(".")[2]: each.servicer for each in house.daemon.daemon.services}
    (ours,) = [each for each in owned(servicers) if each.kind is cluster.kind]
    async with reconciling(cluster, ours) as wrong:
        yield
        assert wrong == []


async def ready(house: House, cluster: ClusterInMemory, name: str, told: str) -> None:
    """Once its condition Ready says so; the house's time goes on meanwhile."""

    async def check() -> bool:
        house.clock.advance(A_MOMENT)
        return cluster.condition(name, "Ready") == told

    await eventually(check, within=60, what=f"{name} is {told}")


async def test_an_organization_is_made_changed_suspended_and_begins_to_end_with_its_object(house: House) -> None:
    cluster = ClusterInMemory("Organization")
    cluster.put("acme")
    async with controlling(house, cluster):
        await ready(house, cluster, "acme", "True Active")
        assert cluster.written("acme") <= MOST_WRITES
        made = await house.get()
        assert (made.display_name, made.tier) == ("Acme LLC", State.TIER_SME)
        assert cluster.condition("acme", "PlanAsWished") == "False PaidOrderNeeded"
        assert cluster.condition("acme", "AllServed") == "False NotServed"
        await demand_owned_by_address(house)
        cluster.put("acme", displayName="Acme again", suspended=True, suspendReason="spring cleaning")
        await ready(house, cluster, "acme", "False Suspended")
        assert (await house.get()).display_name == "Acme again"
        cluster.put("acme", suspended=None, suspendReason=None)
        await ready(house, cluster, "acme", "True Active")
        await demand_roles_follow_the_object_until_somebody_else_gives_them(house, cluster)
        cluster.delete("acme")
        await eventually(lambda: not cluster.has("acme"), within=60)
        assert (await house.get()).state == State.STATE_DELETING


async def demand_roles_follow_the_object_until_somebody_else_gives_them(house: House, cluster: ClusterInMemory) -> None:
    owner, dev = ({"email": f"{name}@acme.example", "role": name} for name in ("owner", "dev"))
    stub: Any = house.daemon.member(stubs.MemberServiceStub, "acme")

    async def roles() -> dict[str, int]:
        held = (await stub.ListMembers(rpc.ListMembersRequest(parent="organizations/acme"))).members
        return {one.email.partition("@")[0]: one.role for one in held}

    async def see(**wanted: int) -> None:
        async def check() -> bool:
            return await roles() == {"owner": pb.Member.ROLE_ADMIN, **wanted}

        await eventually(check, within=60, what=f"members are {wanted}")

    new = {"email": "New@acme.example", "role": "viewer"}
    cluster.put("acme", owners=[owner, dev | {"role": "admin"}, new])
    await see(dev=pb.Member.ROLE_ADMIN, new=pb.Member.ROLE_VIEWER)
    cluster.put("acme", owners=[owner, dev | {"role": "viewer"}])
    await see(dev=pb.Member.ROLE_VIEWER, new=pb.Member.ROLE_VIEWER)
    assert cluster.condition("acme", "PeopleAsNamed") == "True AsNamed"
    held = (await stub.ListMembers(rpc.ListMembersRequest(parent="organizations/acme"))).members
    (gone,) = [one for one in held if one.email == "dev@acme.example"]
    await stub.DeleteMember(rpc.DeleteMemberRequest(name=gone.name, etag=gone.etag))
    cluster.annotate("acme", looked="at")
    await eventually(lambda: cluster.condition("acme", "PeopleAsNamed") == "False Differs", within=60)
    assert "dev" not in await roles(), "what was decided elsewhere stays"
    cluster.put("acme", owners=[owner, {**dev, "role": "developer"}])
    await see(dev=pb.Member.ROLE_DEVELOPER, new=pb.Member.ROLE_VIEWER)


async def demand_owned_by_address(house: House) -> None:
    """The owner is whoever shows a token with the address that the object names."""
    token = house.daemon.issuer.token("sub-of-a-provider", email="owner@acme.example")
    members: Any = house.daemon.stub(stubs.MemberServiceStub, token=token)
    held = (await members.ListMembers(rpc.ListMembersRequest(parent="organizations/acme"))).members
    assert {(one.email, one.owner, one.role) for one in held} == {
        ("owner@acme.example", True, pb.Member.ROLE_ADMIN),
        ("dev@acme.example", False, pb.Member.ROLE_DEVELOPER),
    }
    orgs: Any = house.daemon.stub(stubs.OrganizationServiceStub, token=token)
    wish = rpc.DeleteOrganizationRequest(name="organizations/acme", confirm="acme", validate_only=True)
    wish.etag = (await house.get()).etag
    assert (await orgs.DeleteOrganization(wish)).state == State.STATE_DELETING


async def test_what_was_decided_elsewhere_an_object_does_not_take_back(house: House) -> None:
    await house.active()
    admin: Any = house.daemon.admin(stubs.OrganizationServiceStub)
    await admin.SuspendOrganization(rpc.SuspendOrganizationRequest(name="organizations/acme", reason="not paid"))
    cluster = ClusterInMemory("Organization")
    cluster.put("acme", tier="corporate")
    async with controlling(house, cluster):
        await eventually(lambda: cluster.condition("acme", "Accepted") == "False Immutable", within=60)
        cluster.put("acme", tier="sme")
        await eventually(lambda: cluster.condition("acme", "Suspended") == "True ByOthers", within=60)
        cluster.put("acme", displayName="Acme again")
        await eventually(lambda: cluster.status("acme").get("observedGeneration") == 3, within=60)
        held = await house.get()
        assert (held.state, held.display_name) == (State.STATE_SUSPENDED, "Acme again")
        change = rpc.UpdateOrganizationRequest(
            organization=pb.Organization(name=held.name, display_name="By console"), etag=held.etag
        )
        await house.person(stubs.OrganizationServiceStub, "ada").UpdateOrganization(change)
        cluster.annotate("acme", looked="at")
        await eventually(lambda: cluster.condition("acme", "InSync") == "False Differs", within=60)
    assert (await house.get()).display_name == "By console"


async def test_environments_and_policies_are_made_and_a_full_environment_is_told_of(shop: Shop) -> None:
    house, environments = shop.house, ClusterInMemory("Environment")
    environments.put("acme-stg", envType="stg")
    environments.put("acme-prod")
    async with controlling(house, environments):
        await eventually(lambda: environments.accepted("acme-stg") == "True", within=60)
        assert environments.status("acme-stg")["regionCount"] == 2
        assert environments.written("acme-stg") <= MOST_WRITES
        assert environments.condition("acme-stg", "Ready") == "False NotAvailable"
        await eventually(lambda: environments.condition("acme-prod", "InSync") == "False Differs", within=60)
        await shop.settled(shop.install("blog"))
        environments.delete("acme-stg")
        environments.delete("acme-prod")
        await eventually(lambda: not environments.has("acme-stg") and not environments.has("acme-prod"), within=60)
    assert [note["reason"] for note in environments.notes.values()] == ["EnvironmentNotEmpty"]
    stub: Any = house.daemon.member(stubs.EnvironmentServiceStub, "acme", "org-admin")
    left = await stub.ListEnvironments(rpc.ListEnvironmentsRequest(parent="organizations/acme"))
    assert [each.name for each in left.environments] == [ENV]

    policies = ClusterInMemory("EnvironmentPolicy")
    policies.put("strict")
    async with controlling(house, policies):
        await eventually(lambda: policies.condition("strict", "InSync") == "True AsWished", within=60)
        assert policies.condition("strict", "AllServed") == "False NotServed"  # both need more than an object
        policies.put("strict", rules=[{"type": "change-window", "cron": "*/5 * * * *", "duration": "1h"}])
        await eventually(lambda: policies.condition("strict", "Accepted") == "False CronNotServed", within=60)
    service: Any = house.daemon.member(stubs.PolicyServiceStub, "acme", "org-admin")
    policy = await service.GetPolicy(rpc.GetPolicyRequest(name=f"{ENV}/policy"))
    assert (policy.required_approvals, policy.soak.ToTimedelta().days, policy.required_score) == (2, 3, 80)
    assert [one.name for one in policy.compliance] == ["backup-configured", "pdb"]
    (window,) = policy.change_windows
    assert (list(window.weekdays), window.start) == ([1, 2, 3, 4], "08:00")


STORM = 40


@pytest.mark.parametrize("kind", ["EnvironmentPolicy", "SecretPolicy", "Runbook"])
async def test_a_storm_costs_three_writes_an_object_whatever_breaks_meanwhile(kind: str, house: House) -> None:
    """409s, an API server that does not answer, a watch that was forgotten: nothing of it is an object's to pay."""
    cluster, names = ClusterInMemory(kind), [f"storm-{number}" for number in range(STORM)]
    for name in names:
        cluster.put(name)
    cluster.conflicts, cluster.broken = STORM, STORM
    async with controlling(house, cluster):
        await eventually(lambda: len(cluster.writes) >= STORM // 2, within=60, what="it is under way")
        cluster.broken = 0
        _, version = await cluster.list(cluster.kind)
        cluster.forgotten, cluster.broken = int(version) + 1, STORM

        def settled() -> bool:
            return all(cluster.status(name).get("observedGeneration") == 1 for name in names)

        await eventually(settled, within=60, what="all are settled")
        counts = {name: cluster.written(name) for name in names}
        cluster.annotate(names[0], looked="at")
        await eventually(lambda: cluster.watches > 1, within=60, what="it watches anew")
    assert max(counts.values()) <= MOST_WRITES, counts


async def standing(shop: Shop) -> list[str]:
    answer = await shop.dev.ListApplications(rpc.ListApplicationsRequest(parent=ENV))
    return [each.name for each in answer.applications]


APPLICATION = {
    "blueprintRef": {"name": "bp-blog", "version": "1.0.0"},
    "placement": None,
    "parameters": {},
    "healthCheck": None,
    "topology": None,
    "dependsOn": None,
    "owners": None,
}  # fmt: skip - a table


async def test_an_application_is_installed_and_removed_with_its_object(shop: Shop) -> None:
    cluster = ClusterInMemory("Application")
    cluster.put("blog", **APPLICATION)
    async with controlling(shop.house, cluster):
        await ready(shop.house, cluster, "blog", "False Installing")
        await shop.house.ended((await shop.get("blog")).operation)
        await shop.seen(await shop.get("blog"))
        await ready(shop.house, cluster, "blog", "True Active")
        assert cluster.status("blog")["installedBlueprint"]["version"] == "1.0.0"
        cluster.put("blog", blueprintRef={"name": "bp-wiki", "version": "1.0.0"})
        await eventually(lambda: cluster.condition("blog", "Accepted") == "False Immutable", within=60)
        cluster.delete("blog")
        await eventually(lambda: not cluster.has("blog"), within=60)
        await shop.house.ended((await shop.get("blog")).operation)
    assert await standing(shop) == []


def test_an_application_reaches_no_organization_but_that_of_its_namespace() -> None:
    def home(namespace: str) -> str:
        metadata = {"name": "blog", "namespace": namespace}
        return demand_home({"metadata": metadata, "spec": {"environmentRef": "acme-prod"}})

    assert home("acme") == home("acme-prod") == f"{ENV}/applications/blog"
    for foreign in ("rival", "acme-stg", "acme-prod-x", "default"):
        with pytest.raises(Unacceptable):
            home(foreign)


def test_an_application_is_placed_where_its_clusters_show_it() -> None:
    kind, here = pb.Application.Placement, "sovereigns/home/clusters/hz-fsn-rtz-prod"
    alone = pb.Application(placements=[kind(cluster=here, state=kind.STATE_READY)])
    both = pb.Application(placements=[*alone.placements, kind(cluster=here.replace("fsn", "hel"))])
    one, two = ["hz-fsn-rtz-prod"], ["hz-fsn-rtz-prod", "hz-hel-rtz-prod"]

    def told(held: pb.Application, regions: list[str], placement: Any = None) -> tuple[str, bool]:
        spec = {"regions": regions, **({"placement": placement} if placement else {})}
        return placed(spec, held).reason, "placement" not in idle(spec, held)

    assert told(pb.Application(), one) == ("NoCluster", True)
    assert told(alone, one, "single-region") == ("AsWished", True)
    assert told(alone, two, {"mode": "active-active"}) == ("Elsewhere", False)
    assert told(both, two[::-1], {"mode": "active-active", "regions": two}) == ("AsWished", True)
    assert told(both, two, "active-hotstandby") == ("AsWished", False)
    assert told(alone, one, {"mode": "single-region", "vcluster": "acme"}) == ("AsWished", False)
    assert [(each["name"], each["role"], each["ready"]) for each in status_of(both)["regions"]] == [
        (two[0], "active", True),
        (two[1], "active", False),
    ]


def test_a_window_of_cron_is_a_window_of_days() -> None:
    def days(cron: str) -> list[int]:
        rule = {"type": "change-window", "cron": cron, "duration": "8h"}
        return list(asked_for({"rules": [rule]}).change_windows[0].weekdays)

    assert days("0 8 * * 1-4") == [1, 2, 3, 4]
    assert days("30 22 * * 0,6") == [6, 7]
    assert days("0 8 * * *") == [1, 2, 3, 4, 5, 6, 7]
    for wrong in ("0 8 1 * *", "*/5 * * * *", "0 24 * * *", "0 8 * * mon"):
        with pytest.raises(Unacceptable):
            days(wrong)

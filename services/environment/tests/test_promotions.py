"""A promotion from the outside: held by three gates, freed one by one, merged; and Git is no way past them."""

from datetime import timedelta
from typing import Any

import pytest
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst_environment.domain import trees
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of

from .house import A_MOMENT, conditions
from .shop import Shop

DEV, PROD = "environments/acme-dev", "environments/acme-prod"
Policies = stubs.PolicyServiceStub


async def in_dev(shop: Shop) -> pb.Application:
    """Two Applications in dev, seen healthy there."""
    envs: Any = shop.house.daemon.member(stubs.EnvironmentServiceStub, "acme")
    await envs.CreateEnvironment(
        rpc.CreateEnvironmentRequest(parent="organizations/acme", environment=pb.Environment(type="dev"))
    )
    wish = pb.Application(blueprint="blueprints/bp-database", blueprint_version="1.0.0")
    made = await shop.settled(
        shop.dev.CreateApplication(
            rpc.CreateApplicationRequest(parent=DEV, application_id="database", application=wish)
        )
    )
    return await shop.seen(made)


def people(shop: Shop, *names: str) -> list[Any]:
    return [shop.house.daemon.stub(Policies, name, groups=["/acme/org-admin"]) for name in names]


async def reached(shop: Shop, held: pb.Promotion, state: str) -> pb.Promotion:
    (ada,) = people(shop, "ada")

    async def check() -> pb.Promotion | None:
        shop.house.clock.advance(A_MOMENT)
        now = await ada.GetPromotion(rpc.GetPromotionRequest(name=held.name))
        return now if pb.Promotion.State.Name(now.state) == f"STATE_{state}" else None

    found: pb.Promotion | None = await eventually(check, within=60, what=f"{held.name} is {state}")
    assert found is not None
    return found


def waiting(held: pb.Promotion) -> set[str]:
    return {gate.name for gate in held.gates if gate.state != pb.Promotion.Gate.STATE_PASSED}


async def policed(shop: Shop) -> None:
    (ada,) = people(shop, "ada")
    policy = pb.Policy(name=f"{PROD}/policy", required_approvals=2, required_score=80)
    policy.soak.FromTimedelta(timedelta(hours=4))
    now = await ada.GetPolicy(rpc.GetPolicyRequest(name=policy.name))
    await ada.UpdatePolicy(rpc.UpdatePolicyRequest(policy=policy, etag=now.etag))


async def test_three_gates_are_freed_one_by_one_and_time_alone_opens_the_last(shop: Shop) -> None:
    source = await in_dev(shop)
    await policed(shop)
    ada, bo, cy = people(shop, "ada", "bo", "cy")
    wish = rpc.CreatePromotionRequest(parent=PROD, promotion=pb.Promotion(application="database", source=DEV))
    held = await ada.CreatePromotion(wish)
    assert held.state == pb.Promotion.STATE_PENDING_APPROVAL
    assert waiting(held) == {"approvals", "soak", "score"}
    assert await reason_of(ada.CreatePromotion(wish)) == "PROMOTION_EXISTS"
    approve = rpc.ApprovePromotionRequest(name=held.name)
    for one in (ada, bo, cy):
        held = await one.ApprovePromotion(approve)
    assert waiting(held) == {"soak", "score"}
    report = rpc.ReportApplicationRequest(name=source.name, commit=source.pin.commit, healthy=True, score=80)
    await shop.cluster.ReportApplication(report)
    assert await reason_of(
        shop.dev.GetApplication(rpc.GetApplicationRequest(name=f"{PROD}/applications/database"))
    ) == ("APPLICATION_NOT_FOUND")
    shop.house.clock.advance(timedelta(hours=4))
    merged = await reached(shop, held, "MERGED")
    assert waiting(merged) == set()
    there = await shop.get("database")
    assert trees.pin_of(shop.files("database")) == ("blueprints/bp-database", "1.0.0", source.pin.digest)
    head = shop.repositories.head("acme", "database", "main")
    assert head is not None
    assert (head.id, head.parents[1:]) == (there.pin.commit, (source.pin.commit,)), "a merge of the candidate"
    assert (await shop.house.told()).count("policy.promoted") == 1


@pytest.mark.either_database
async def test_who_writes_past_the_gates_is_reverted_and_named(shop: Shop) -> None:
    await in_dev(shop)
    (ada,) = people(shop, "ada")
    wish = rpc.CreatePromotionRequest(parent=PROD, promotion=pb.Promotion(application="database", source=DEV))
    await reached(shop, await ada.CreatePromotion(wish), "MERGED")
    there = await shop.get("database")
    await policed(shop)
    files = {**shop.files("database"), "values.yaml": b"{}\n", "more": b"x"}
    sneaked = shop.repositories.commit("acme", "database", "main", files, "sneak", 9, onto=there.pin.commit)

    async def reverted() -> pb.Application | None:
        now = await shop.get("database")
        return now if "DirectChange" in conditions(now) else None

    now = await eventually(reverted, within=60, what="the change was reverted")
    assert now is not None
    head = shop.repositories.head("acme", "database", "main")
    assert head is not None
    assert (head.id, head.parents) == (now.pin.commit, (sneaked,)), "by a commit, not by force"
    assert "more" not in shop.files("database")
    assert sneaked in next(one.message for one in now.conditions if one.type == "DirectChange")


@pytest.mark.either_database
async def test_two_people_lead_past_the_gates_and_one_does_not(shop: Shop) -> None:
    await in_dev(shop)
    await policed(shop)
    ada, bo = people(shop, "ada", "bo")
    wish = rpc.CreatePromotionRequest(parent=PROD, promotion=pb.Promotion(application="database", source=DEV))
    held = await ada.CreatePromotion(wish)
    demand = rpc.OverridePromotionRequest(name=held.name, reason="the site is down")
    dev: Any = shop.house.daemon.member(Policies, "acme", "org-developer")
    assert await reason_of(dev.OverridePromotion(demand)) == "CALL_DENIED"
    for _ in range(2):
        assert (await ada.OverridePromotion(demand)).state == pb.Promotion.STATE_PENDING_APPROVAL
    assert (await bo.OverridePromotion(demand)).state == pb.Promotion.STATE_MERGING
    merged = await reached(shop, held, "MERGED")
    assert sorted(merged.overriders) == ["ada", "bo"]
    assert waiting(merged) == {"approvals", "soak", "score"}, "how they stood is kept"


async def test_what_a_policy_asks_of_clusters_stands_in_the_sovereigns_own_repository(shop: Shop) -> None:
    (ada,) = people(shop, "ada")
    kind = pb.Policy.ComplianceRule
    rules = [kind(name="run-as-non-root", mode=kind.MODE_ENFORCING, weight=40), kind(name="pdb")]

    async def asked(rules: list[Any]) -> pb.Policy:
        name = f"{PROD}/policy"
        now = await ada.GetPolicy(rpc.GetPolicyRequest(name=name))
        request = rpc.UpdatePolicyRequest(policy=pb.Policy(name=name, compliance=rules), etag=now.etag)
        request.update_mask.paths.append("compliance")
        policy: pb.Policy = await ada.UpdatePolicy(request)
        return policy

    def standing() -> dict[str, bytes] | None:
        head = shop.repositories.head("system", "catalyst-config", "main")
        return shop.repositories.files("system", "catalyst-config", head.id) if head else None

    async def becomes(wished: set[str], what: str) -> dict[str, bytes]:
        async def check() -> dict[str, bytes] | None:
            shop.house.clock.advance(timedelta(seconds=10))
            now = standing()
            return now if now is not None and set(now) == wished else None

        found: dict[str, bytes] | None = await eventually(check, within=60, what=what)
        assert found is not None
        return found

    held = await asked(rules)
    assert (list(held.unrendered), [one.name for one in held.compliance]) == (["pdb"], ["pdb", "run-as-non-root"])
    path = "policies/acme-prod-policy.yaml"
    found = await becomes({path}, "the rules stand in Git")
    assert b'"Enforce"' in found[path]
    head = shop.repositories.head("system", "catalyst-config", "main")
    assert head is not None
    shop.repositories.commit("system", "catalyst-config", "main", {"README.md": b"ours"}, "sneak", 9, onto=head.id)
    await becomes({path, "README.md"}, "what was taken away is there again, beside what others wrote")
    await asked([])
    await becomes({"README.md"}, "no rule is asked for any more")
    assert await reason_of(asked([kind(name="pdb"), kind(name="pdb")])) == "REQUEST_INVALID"

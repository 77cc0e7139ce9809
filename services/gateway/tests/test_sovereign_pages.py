"""Sovereigns, plans, runs and the wizard: what is shown of them, and what an action asks of the daemons."""

import re
from typing import Any

import pytest
from catalyst_gateway.console import sovereigns
from catalyst_sdk import Code, Refused, Violation

from .looking import Looking

NAME = "sovereigns/acme"
PLAN, RUN = f"{NAME}/plans/plan-1", f"{NAME}/runs/run-1"
ORGANIZATION = {"organization": {"slug": "acme", "displayName": "Acme"}}
ACTIVE = {
    "name": NAME,
    "state": "STATE_ACTIVE",
    "etag": '"7"',
    "spec": ORGANIZATION,
    "order": "billingAccounts/acme/orders/o",
}
DESTROY = {
    "name": PLAN, "intent": "INTENT_DESTROY", "state": "STATE_ACTIVE", "hash": "ab" * 32, "applicable": True,
    "cost": {"after": {"total": {"month": {"minor": "0", "currency": "EUR"}}}}, "destroy": {"dataLost": ["bucket backups"]},
}  # fmt: skip
OPERATION = {
    "name": "operations/provisioner-1",
    "metadata": {"@type": "type.googleapis.com/catalyst.provisioner.v1.RunMetadata", "run": RUN},
}
STEPS = [
    {"name": f"{RUN}/steps/infra", "state": "STATE_FAILED", "skippable": True, "phase": "infrastructure",
     "error": {"code": "QUOTA", "message": "no room for 3 servers"}},
    {"name": f"{RUN}/steps/probe", "state": "STATE_PENDING", "needs": ["infra"]},
]  # fmt: skip


class NotForViewers(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "CALL_DENIED", "none of your roles may do this"


class Moved(Refused):
    code, reason, message = Code.ABORTED, "PLAN_STALE", "prices have moved since the plan was made"


class SlugReserved(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SPEC_INVALID", "2 fields of the spec are wrong"


class IdTaken(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "CREDENTIAL_EXISTS", "there is one of this name"


async def test_a_sovereign_is_shown_with_what_may_be_done_about_it(look: Looking) -> None:
    look.daemons.answer("GetSovereign", ACTIVE)
    look.daemons.answer(
        "provisioner.ListRuns", {"runs": [{"name": RUN, "state": "STATE_RUNNING", "intent": "INTENT_UPGRADE"}]}
    )
    seen = await look.at(f"/console/{NAME}")
    assert f"/console/{RUN}" in seen.links
    assert "Destroy …" not in seen.text, "a run is going on"
    look.daemons.answer("provisioner.ListRuns", {})
    assert "Destroy …" in (await look.at(f"/console/{NAME}")).text


@pytest.mark.parametrize("side", ["components", "ledger", "access"])
async def test_each_side_of_a_sovereign_says_that_it_is_empty(look: Looking, side: str) -> None:
    look.daemons.answer("GetSovereign", ACTIVE)
    seen = await look.at(f"/console/{NAME}/{side}")
    assert (seen.status, 'class="empty"' in seen.html) == (200, True)


async def test_nothing_is_destroyed_before_its_name_was_typed(look: Looking) -> None:
    look.daemons.answer("GetSovereign", ACTIVE)
    look.daemons.answer("provisioner.GetPlan", DESTROY)
    look.daemons.answer("provisioner.ApplyPlan", OPERATION)
    shown = await look.at(f"/console/{PLAN}")
    assert "bucket backups" in shown.text
    wrong = await look.send(f"/console/{PLAN}/apply", {"hash": shown.fields["hash"], "confirm": "acne"})
    assert (wrong.status, look.daemons.wishes("provisioner.ApplyPlan")) == (422, [])
    assert 'aria-invalid="true"' in wrong.html
    right = await look.send(f"/console/{PLAN}/apply", {"hash": shown.fields["hash"], "confirm": "acme"})
    assert right.headers["location"] == f"/console/{RUN}"
    (wish,) = look.daemons.wishes("provisioner.ApplyPlan")
    assert (wish.hash, bool(wish.request_id)) == ("ab" * 32, True)


async def test_a_plan_that_moved_is_refused_with_its_reason(look: Looking) -> None:
    look.daemons.answer("GetSovereign", ACTIVE)
    look.daemons.answer("provisioner.GetPlan", {**DESTROY, "intent": "INTENT_UPGRADE"})
    look.daemons.answer("provisioner.ApplyPlan", Moved())
    seen = await look.send(f"/console/{PLAN}/apply", {"hash": "ab" * 32})
    assert (seen.status, "prices have moved" in seen.text, "PLAN_STALE" in seen.text) == (409, True, True)


async def test_a_first_plan_is_paid_before_it_is_applied(look: Looking) -> None:
    look.daemons.answer("GetSovereign", {**ACTIVE, "order": ""})
    look.daemons.answer("provisioner.GetPlan", {**DESTROY, "intent": "INTENT_APPLY"})
    look.daemons.answer("provisioner.ApplyPlan", OPERATION)
    order = {"name": "billingAccounts/acme/orders/o-1", "state": "STATE_AWAITING_PAYMENT"}
    look.daemons.answer("CreateQuote", {"name": "billingAccounts/acme/quotes/q-1", "hash": "cd" * 32})
    look.daemons.answer("CreateOrder", order)
    due = await look.send(f"/console/{PLAN}/apply", {"hash": "ab" * 32, "buy": "m", "voucher": ""})
    assert due.headers["location"] == f"/console/{PLAN}/pay/o-1"
    assert look.daemons.wishes("provisioner.ApplyPlan") == []
    look.daemons.answer("CreateOrder", {**order, "state": "STATE_PAID"})
    await look.send(f"/console/{PLAN}/apply", {"hash": "ab" * 32, "buy": "m", "voucher": "FIRST"})
    assert look.daemons.wishes("provisioner.ApplyPlan")[0].order == order["name"]
    assert look.daemons.wishes("CreateQuote")[1].voucher_code == "FIRST"


async def test_a_failed_step_is_shown_with_its_log_and_retried_or_left_out(look: Looking) -> None:
    look.daemons.answer(
        "provisioner.GetRun", {"name": RUN, "state": "STATE_PAUSED", "intent": "INTENT_APPLY", "version": "9"}
    )
    look.daemons.answer("provisioner.ListSteps", {"steps": STEPS})
    look.daemons.answer(
        "provisioner.ListLogs",
        {"lines": [{"seq": "1", "text": "asking for <3 servers>", "time": "2026-01-01T12:00:00Z"}]},
    )
    seen = await look.at(f"/console/{RUN}")
    assert "no room for 3 servers" in seen.text
    assert "asking for <3 servers>" in seen.text
    assert look.daemons.wishes("provisioner.ListLogs")[0].step == "infra"
    assert f"/console/{RUN}?step=probe" in seen.links
    await look.send(f"/console/{RUN}/steps/infra/retry", {})
    skipped = await look.send(f"/console/{RUN}/steps/infra/skip", {"says": "the bank has its own"})
    assert skipped.headers["location"] == f"/console/{RUN}?step=infra"
    assert look.daemons.wishes("provisioner.RetryStep")[0].name == f"{RUN}/steps/infra"
    assert look.daemons.wishes("provisioner.SkipStep")[0].reason == "the bank has its own"
    await look.send(f"/console/{RUN}/resume", {})
    await look.send(f"/console/{RUN}/cancel", {"compensate": "true"})
    assert look.daemons.wishes("provisioner.ResumeRun")[0].name == RUN
    assert look.daemons.wishes("provisioner.CancelRun")[0].mode == 2


async def test_a_failed_run_is_shown_to_whoever_may_not_read_its_logs(look: Looking) -> None:
    run = {"name": RUN, "state": "STATE_PAUSED", "intent": "INTENT_APPLY", "version": "9"}
    look.daemons.answer("provisioner.GetRun", run)
    look.daemons.answer("provisioner.ListSteps", {"steps": STEPS})
    look.daemons.answer("provisioner.ListLogs", NotForViewers())
    seen = await look.at(f"/console/{RUN}", roles=(), groups=("/acme/org-viewer",))
    assert (seen.status, "no room for 3 servers" in seen.text) == (200, True)
    assert "Its log is for those who develop" in seen.text


async def test_a_kubeconfig_is_shown_once_and_is_on_no_page_after(look: Looking) -> None:
    look.daemons.answer("GetSovereign", ACTIVE)
    look.daemons.answer("IssueKubeconfig", {"kubeconfig": "canary-kubeconfig"})
    given = await look.send(f"/console/{NAME}/access", {"reason": "look", "role": "view", "minutes": "10"})
    assert "canary-kubeconfig" in given.text
    assert given.headers["cache-control"] == "no-store"
    assert "canary-kubeconfig" not in (await look.at(f"/console/{NAME}/access")).text
    assert look.daemons.wishes("IssueKubeconfig")[0].ttl.seconds == 600


async def begun(look: Looking) -> str:
    answer = await look.send("/console/new", {})
    return re.sub("/organization$", "", answer.headers["location"])


ORG = {
    "organization.display_name": "Bank",
    "organization.slug": "kube-x",
    "organization.admin_email": "a@bank.example",
    "name": "",
}


async def test_what_the_daemon_says_of_a_field_stands_at_the_field_and_what_later_steps_ask_does_not(
    look: Looking,
) -> None:
    draft = await begun(look)
    wrong = (Violation("spec.organization.slug", "is a reserved word", "reserved"),
             Violation("spec.domain.pool", "is required", "required"))  # fmt: skip
    look.daemons.answer("CreateSovereign", SlugReserved(violations=wrong))
    seen = await look.send(f"{draft}/organization", ORG)
    assert (seen.status, "is a reserved word" in seen.text, "is required" in seen.text) == (422, True, False)
    assert re.search(r'id="organization.slug"[^>]*aria-invalid="true"', seen.html)
    look.daemons.answer("CreateSovereign", SlugReserved(violations=wrong[1:]))
    gone = await look.send(f"{draft}/organization", {**ORG, "organization.slug": "bank"})
    assert gone.headers["location"] == f"{draft}/topology"
    assert all(wish.validate_only for wish in look.daemons.wishes("CreateSovereign"))


async def test_a_wish_is_kept_for_the_person_who_has_it_and_for_nobody_else(look: Looking) -> None:
    draft = await begun(look)
    await look.send(f"{draft}/organization", {**ORG, "organization.slug": "bank"})
    assert (await look.at(f"{draft}/organization")).fields["organization.slug"] == "bank"
    assert f"{draft}/organization" in (await look.at("/console/new")).links
    token = look.issuer.token("mallory", roles=["sovereign-admin"])
    other = await look.at(f"{draft}/organization", roles=(), headers={"authorization": f"Bearer {token}"})
    assert (other.status, "bank" in other.text) == (404, False)


async def test_a_secret_goes_to_the_daemon_that_seals_it_and_stays_nowhere_here(look: Looking) -> None:
    draft = await begun(look)
    await look.send(f"{draft}/provider", {"provider": "sandbox", "region.0": "east", "control.size": "sb8"})
    look.daemons.answer("CreateCredential", IdTaken())
    form = {"credential_id": "mine", "values.token": "canary-secret"}
    refused = await look.send(f"{draft}/credentials/credential", form)
    assert (refused.status, "canary-secret" in refused.html) == (422, False)
    look.daemons.answer("CreateCredential", {"name": "credentials/mine"})
    assert (await look.send(f"{draft}/credentials/credential", form)).status == 303
    wish = look.daemons.wishes("CreateCredential")[-1]
    assert (wish.credential_id, wish.credential.provider, dict(wish.values)) == (
        "mine",
        "sandbox",
        {"token": "canary-secret"},
    )
    for path in ("organization", "credentials", "domain"):
        assert "canary-secret" not in (await look.at(f"{draft}/{path}")).html
    async with look.work.reading() as tx:
        kept = str(await tx.drafts("ada"))
    assert ("credentials/mine" in kept, "canary-secret" in kept) == (True, False)


async def test_the_last_step_leads_to_the_plan_of_what_was_described(look: Looking) -> None:
    draft = await begun(look)
    for step, form in {
        "organization": {**ORG, "organization.slug": "bank"},
        "topology": {"topology": "solo", "env_type": "dev"},
        "provider": {
            "provider": "sandbox",
            "region.0": "east",
            "control.size": "sb8",
            "control.count": "1",
            "workers.size": "sb4",
            "workers.count": "2",
        },
        "credentials": {"credential": "credentials/mine"},
        "components": {},
    }.items():  # fmt: skip - a step a row
        assert (await look.send(f"{draft}/{step}", form)).status == 303, step
    look.daemons.answer("provisioner.CreatePlan", {"name": "sovereigns/bank/plans/plan-1"})
    domain = {"domain.mode": "pool", "domain.pool": "omani.works", "domain.label": "bank"}
    planned = await look.send(f"{draft}/domain", domain)
    assert planned.headers["location"] == f"{draft}/review"
    made = [wish for wish in look.daemons.wishes("CreateSovereign") if not wish.validate_only]
    assert [(m.sovereign.name, m.sovereign.spec.domain.label, m.sovereign.spec.topology) for m in made] == [
        ("sovereigns/bank", "bank", "solo")
    ]
    look.daemons.answer(
        "provisioner.GetPlan", {**DESTROY, "name": "sovereigns/bank/plans/plan-1", "intent": "INTENT_APPLY"}
    )
    look.daemons.answer("GetSovereign", {**ACTIVE, "name": "sovereigns/bank", "order": ""})
    review = await look.at(f"{draft}/review")
    assert review.fields["hash"] == "ab" * 32
    assert "voucher" in review.fields


async def test_a_cluster_may_have_servers_of_its_own(look: Looking) -> None:
    def expanded(wish: Any) -> dict[str, Any]:
        pools = [{"name": "general", "size": "sb4", "count": 2}]
        cluster = {"provider": "sandbox", "controlPlane": {"size": "sb8", "count": 1}, "workerPools": pools}
        clusters = [{**cluster, "region": region, "buildingBlock": "rtz"} for region in ("east", "west")]
        is_short = wish.validate_only and wish.sovereign.spec.topology
        return {"name": wish.sovereign.name, **({"spec": {"clusters": clusters}} if is_short else {})}

    layout = [{"clusters": [{"hosts": ["rtz"]}]}] * 2
    look.daemons.answer("ListTopologies", {"topologies": [{"name": "topologies/dual", "regions": layout}]})
    look.daemons.answer("provisioner.ListProviders", {"providers": [{"name": "providers/sandbox"}]})
    look.daemons.answer("ListRegions", {"regions": [{"name": "providers/sandbox/regions/east", "offered": True}]})
    offers = [
        {"name": f"providers/sandbox/regions/{r}/offers/{s}", "size": s}
        for r in ("east", "west")
        for s in ("sb2", "sb8")
    ]
    look.daemons.answer("ListOffers", {"offers": offers})
    look.daemons.answer("CreateSovereign", expanded)
    look.daemons.answer("provisioner.CreatePlan", {"name": "sovereigns/bank/plans/plan-1"})
    draft = await begun(look)
    await look.send(f"{draft}/organization", {**ORG, "organization.slug": "bank"})
    await look.send(f"{draft}/topology", {"topology": "dual", "env_type": "dev"})
    servers = {
        "provider": "sandbox",
        "region.0": "east",
        "region.1": "west",
        "control.size": "sb8",
        "workers.size": "sb8",
    }
    own = {"cluster.1.rtz.control.size": "sb2", "cluster.1.rtz.more.size": "sb8", "cluster.1.rtz.more.count": "3"}
    assert (await look.send(f"{draft}/provider", {**servers, **own})).status == 303
    shown = await look.at(f"{draft}/provider")
    assert {"cluster.0.rtz.control.size", *own} <= shown.fields.keys()
    wrong = SlugReserved(violations=(Violation("spec.clusters[1].control_plane.size", "is not sold", "offer"),))
    look.daemons.answer("CreateSovereign", lambda wish: expanded(wish) if wish.sovereign.spec.topology else wrong)
    refused = await look.send(f"{draft}/provider", {**servers, **own})
    assert (refused.status, 'id="cluster.1.rtz.control.size-fault">is not sold' in refused.html) == (422, True)
    look.daemons.answer("CreateSovereign", expanded)
    await look.send(f"{draft}/credentials", {"credential": "credentials/mine"})
    await look.send(f"{draft}/domain", {"domain.mode": "pool", "domain.pool": "omani.works", "domain.label": "bank"})
    (made,) = [wish.sovereign.spec for wish in look.daemons.wishes("CreateSovereign") if not wish.validate_only]
    assert (made.topology, [c.control_plane.size for c in made.clusters]) == ("", ["sb8", "sb2"])
    assert [[(p.name, p.size, p.count) for p in c.worker_pools] for c in made.clusters] == [
        [("general", "sb4", 2)], [("general", "sb4", 2), ("more", "sb8", 3)],
    ]  # fmt: skip


@pytest.mark.parametrize(("state", "intents"), [("DRAFT", ["APPLY"]), ("ACTIVE", ["APPLY", "REPAIR", "UPGRADE", "DESTROY"]),
                                                ("FAILED", ["APPLY", "DESTROY"]), ("DESTROYED", [])])  # fmt: skip
def test_what_may_be_planned_follows_from_the_state(state: str, intents: list[str]) -> None:
    one: dict[str, Any] = {"state": f"STATE_{state}"}
    assert list(sovereigns.may(one, None)) == intents
    assert sovereigns.may(one, {"name": "going"}) == {}

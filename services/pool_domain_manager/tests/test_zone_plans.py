"""Plans over real gRPC: shown, applied by their hash, refused when the world has moved, taken back."""

import asyncio

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Plan, PlanChange, RecordKey
from catalyst.pooldomain.v1.service_pb2 import (
    ApplyPlanRequest,
    DiffZoneRequest,
    ExportZoneRequest,
    GetPlanRequest,
    ListPlansRequest,
    ListRecordSetsRequest,
    PlanZoneRequest,
    RevertPlanRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import ZoneServiceStub
from catalyst_sdk.dns import Change
from catalyst_testkit.daemons import reason_of

from .calls import outbox
from .conftest import Dns, Start, on_both_servers
from .zone_calls import DOMAIN, ZONE, applied, ended, listed, made_zone, owner, planned, remove, upsert

pytestmark = pytest.mark.either_database

WWW = f"www.{DOMAIN}."


@on_both_servers
async def test_a_plan_is_applied_served_everywhere_and_taken_back(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        plan = await planned(
            daemon, upsert("www", "A", "192.0.2.1"), upsert("@", "MX", f"10 mail.{DOMAIN}."),
            upsert("long", "TXT", "x" * 300),
        )  # fmt: skip
        assert [c.action for c in plan.changes] == [PlanChange.ACTION_CREATE] * 3
        assert plan.changes[0].sentence == f"A of {WWW} is created: 192.0.2.1, for 300 s"
        assert await dns.backend.get_zone(zone=f"{DOMAIN}.") is not None
        assert (WWW, "A") not in await listed(daemon, ListRecordSetsRequest.SOURCE_BACKEND), "a plan writes nothing"
        done = await applied(daemon, plan)
        assert (done.state, done.reverse_plan != "") == (Plan.STATE_APPLIED, True)
        for source in (1, 2, 3):
            seen = await listed(daemon, source)
            assert seen[WWW, "A"] == ["192.0.2.1"], source
            assert seen[f"long.{DOMAIN}.", "TXT"] == [f'"{"x" * 255}" "{"x" * 45}"']
        assert not (await owner(daemon).DiffZone(DiffZoneRequest(name=ZONE))).changes
        back = await owner(daemon).RevertPlan(RevertPlanRequest(name=plan.name))
        assert {c.action for c in back.changes} == {PlanChange.ACTION_DELETE}
        assert [f.rule for f in back.safety if f.refused] == ["empty-set", "last-mx", "mail"]
        assert await reason_of(applied_now(daemon, back)) == "EMPTY_DESIRED_SET"
        reverse = await owner(daemon).GetPlan(GetPlanRequest(name=done.reverse_plan))
        assert (reverse.reverts, reverse.changes) == (plan.name, back.changes)
        await applied(daemon, await planned(daemon, upsert("other", "A", "192.0.2.7")))
        known = [RecordKey(name="@", type="MX")]
        back = await planned(daemon, remove("www", "A"), remove("@", "MX"), confirmed_removals=known)
        assert await reason_of(applied_now(daemon, back)) == "PROTECTED_RECORD", "the last MX needs force"
        await applied(daemon, back, "last-mx")
        assert (WWW, "A") not in await listed(daemon, ListRecordSetsRequest.SOURCE_BACKEND)
        told = [event for name, event, _ in await outbox(daemon) if name == ZONE]
        assert told == ["zone.created", "zone.signed", "zone.changed", "zone.changed", "zone.changed"]


async def applied_now(daemon: object, plan: Plan, *force: str) -> object:
    return await owner(daemon).ApplyPlan(  # type: ignore[arg-type]
        ApplyPlanRequest(name=plan.name, hash=plan.hash, force=force)
    )


async def test_a_wrong_hash_and_a_moved_base_are_refused_and_nothing_is_written(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        first = await planned(daemon, upsert("www", "A", "192.0.2.1"))
        second = await planned(daemon, upsert("www", "A", "192.0.2.2"))
        wrong = ApplyPlanRequest(name=first.name, hash="0" * 64)
        assert await reason_of(owner(daemon).ApplyPlan(wrong)) == "PLAN_HASH_MISMATCH"
        await applied(daemon, first)
        assert await reason_of(applied_now(daemon, second)) == "PLAN_STALE"
        assert await reason_of(applied_now(daemon, first)) == "PLAN_STALE", "what was applied is no plan any more"
        third = await planned(daemon, upsert("www", "A", "192.0.2.3"))
        await dns.backend.apply(zone=f"{DOMAIN}.", changes=(Change(f"x.{DOMAIN}.", "A", 60, ("192.0.2.9",)),))
        assert await reason_of(applied_now(daemon, third)) == "PLAN_STALE"
        assert (await listed(daemon))[WWW, "A"] == ["192.0.2.1"]


async def test_too_many_deletes_are_refused_with_numbers_until_they_are_forced(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        many = [upsert(f"h{n}", "A", "192.0.2.1") for n in range(100)]
        await applied(daemon, await planned(daemon, *many))
        few = await planned(daemon, *(remove(f"h{n}", "A") for n in range(30)))
        assert not few.safety
        plan = await planned(daemon, *(remove(f"h{n}", "A") for n in range(31)))
        assert [(f.rule, f.detail) for f in plan.safety] == [
            ("mass-change", "31 % of the records would be deleted (31/100), the limit is 30 %")
        ]
        assert await reason_of(applied_now(daemon, plan)) == "MASS_CHANGE_REFUSED"
        await applied(daemon, plan, "mass-change")
        assert sum(kind == "A" for _, kind in await listed(daemon)) == 69


async def test_an_empty_wish_and_records_of_others_are_refused_whatever_is_forced(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        await applied(daemon, await planned(daemon, upsert("www", "A", "192.0.2.1")))
        asked = owner(daemon)
        empty = PlanZoneRequest(parent=ZONE, changes=[remove("www", "A")])
        assert await reason_of(asked.PlanZone(empty)) == "EMPTY_DESIRED_SET"
        assert await reason_of(asked.PlanZone(PlanZoneRequest(parent=ZONE))) == "REQUEST_INVALID"
        heritage = '"heritage=external-dns,external-dns/owner=someone"'
        await dns.backend.apply(
            zone=f"{DOMAIN}.",
            changes=(
                Change(f"shop.{DOMAIN}.", "A", 60, ("192.0.2.9",)),
                Change(f"_externaldns.a-shop.{DOMAIN}.", "TXT", 60, (heritage,)),
            ),
        )
        foreign = PlanZoneRequest(parent=ZONE, changes=[upsert("shop", "A", "192.0.2.1")])
        assert await reason_of(asked.PlanZone(foreign)) == "FOREIGN_RECORD"
        bad = PlanZoneRequest(parent=ZONE, changes=[upsert("a", "A", "192.0.2.300"), upsert("b", "CNAME", "x")])
        assert await reason_of(asked.PlanZone(bad)) == "RECORD_INVALID"
        stranger = daemon.member(ZoneServiceStub, "rival")
        assert await reason_of(stranger.PlanZone(foreign)) == "ZONE_NOT_FOUND"
        assert await reason_of(stranger.ListPlans(ListPlansRequest(parent=ZONE))) == "ZONE_NOT_FOUND"


async def test_an_export_can_be_read_again_as_a_zone_file(start: Start, dns: Dns) -> None:
    from catalyst_pool_domain_manager.workers import zone_files

    async with start() as daemon:
        await made_zone(daemon, dns)
        await applied(daemon, await planned(daemon, upsert("www", "A", "192.0.2.1"), upsert("@", "TXT", 'a "b" \\c')))
        for source in (1, 2):
            answer = await owner(daemon).ExportZone(ExportZoneRequest(name=ZONE, source=source))
            read = {(r.name, r.type): sorted(r.records) for r in zone_files.read(answer.zone_file, f"{DOMAIN}.")}
            wanted = {
                key: values for key, values in (await listed(daemon, source)).items() if "_pdm-" not in key[0]
            }  # fmt: skip
            assert {k: v for k, v in read.items() if k[1] != "SOA"} == {
                k: v for k, v in wanted.items() if k[1] != "SOA"
            }


async def test_two_applies_of_one_plan_have_one_effect(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        plan = await planned(daemon, upsert("www", "A", "192.0.2.1"))
        request = ApplyPlanRequest(name=plan.name, hash=plan.hash, request_id="8d6f5a0e-3c9c-4d0e-9a51-0a3b6f3f9a11")
        answers = await asyncio.gather(*(owner(daemon).ApplyPlan(request) for _ in range(5)))
        assert len({a.name for a in answers}) == 1
        assert (await ended(daemon, answers[0].name)).HasField("response")
        assert [e for name, e, _ in await outbox(daemon) if name == ZONE].count("zone.changed") == 1

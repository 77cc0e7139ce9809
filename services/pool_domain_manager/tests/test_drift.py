"""Drift on real servers: seen within one pass, told once, repaired or reported; what others keep is never touched."""

import httpx
import pytest
from catalyst.mesh.v1.resources_pb2 import Condition
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Drift, Plan, Pool, Zone
from catalyst.pooldomain.v1.service_pb2 import (
    AcceptDriftRequest,
    GetPlanRequest,
    GetPoolRequest,
    GetZoneRequest,
    ListDriftsRequest,
    RepairDriftRequest,
    UpdateAllocationRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import PoolServiceStub
from catalyst_pool_domain_manager.domain import drifts
from catalyst_pool_domain_manager.domain.drifts import Kind, Sight, State
from catalyst_sdk.dns import Change, RecordSet
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from hypothesis import given, settings
from hypothesis import strategies as st

from .calls import ELSEWHERE, FQDN, NAME, POOL, made_active, outbox, provisioner, until
from .conftest import Dns, Start
from .domain.makers import NOON
from .zone_calls import DOMAIN, ZONE, admin, applied, listed, made_zone, owner, planned, remove, upsert

pytestmark = pytest.mark.either_database

WWW = f"www.{DOMAIN}."
HERITAGE = ('"heritage=external-dns,external-dns/owner=omantel,external-dns/resource=ingress/shop"',)
FAST = {"drift_interval": 0.3}


async def seen(daemon: RunningDaemon, *, name: str = ZONE, closed: bool = False) -> list[Drift]:
    return list((await admin(daemon).ListDrifts(ListDriftsRequest(parent=name, include_closed=closed))).drifts)


async def until_kinds(daemon: RunningDaemon, *kinds: "Drift.Kind.ValueType", name: str = ZONE) -> list[Drift]:
    found: list[Drift] = []

    async def is_so() -> bool:
        found[:] = await seen(daemon, name=name)
        assert sorted(d.kind for d in found) == sorted(kinds), found
        return True

    await eventually(is_so, within=60, what=f"open drifts of {name} are {kinds}")
    return found


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_in_a_zone_that_somebody_shares_each_set_of_ours_says_whose_it_is_until_both_are_gone(
    start: Start, dns: Dns
) -> None:
    origin = f"{DOMAIN}."
    mark = f"_owner.a.{WWW}"

    async def marks() -> set[str]:
        state = await dns.backend.get_zone(zone=origin)
        assert state is not None
        return {
            r.name for r in state.record_sets if r.name.startswith("_owner.") and "organizations/acme" in r.records[0]
        }

    async with start(**FAST) as daemon:
        await made_zone(daemon, dns)
        await applied(daemon, await planned(daemon, upsert("www", "A", "192.0.2.1")))
        assert await marks() == set(), "a zone that is ours alone says nothing"
        shared = Change(f"_externaldns.a-shop.{DOMAIN}.", "TXT", 60, HERITAGE)
        await dns.backend.apply(zone=origin, changes=(shared,))
        await applied(daemon, await planned(daemon, upsert("*.lab", "TXT", "x")))
        assert await marks() == {mark, f"_owner.txt._wildcard.lab.{DOMAIN}."}
        stray = Change(f"x.{DOMAIN}.", "A", 60, ("192.0.2.8",))
        await dns.backend.apply(zone=origin, changes=(stray,))
        await until_kinds(daemon, Drift.KIND_EXTRA)  # and no mark is one
        await dns.backend.apply(zone=origin, changes=(Change(stray.name, "A"),))
        await applied(daemon, await planned(daemon, remove("www", "A")))
        assert await marks() == {f"_owner.txt._wildcard.lab.{DOMAIN}."}
        await dns.backend.apply(zone=origin, changes=(Change(shared.name, "TXT"),))
        await applied(daemon, await planned(daemon, upsert("www", "A", "192.0.2.1")))
        assert await marks() == set()
        await until_kinds(daemon)


@pytest.mark.parametrize(("dns", "database"), [("powerdns", "sqlite"), ("bind", "postgresql")], indirect=True)
async def test_scenario_9_a_change_by_api_or_by_update_is_told_once_and_repaired_on_demand(
    start: Start, dns: Dns
) -> None:
    async with start(**FAST) as daemon:
        await made_zone(daemon, dns)
        await applied(daemon, await planned(daemon, upsert("www", "A", "192.0.2.1"), upsert("b", "A", "192.0.2.2")))
        spoiled = (Change(WWW, "A", 300, ("203.0.113.9",)), Change(f"b.{DOMAIN}.", "A"))
        await dns.backend.apply(zone=f"{DOMAIN}.", changes=(*spoiled, Change(f"x.{DOMAIN}.", "A", 60, ("192.0.2.8",))))
        found = await until_kinds(daemon, Drift.KIND_CHANGED, Drift.KIND_MISSING, Drift.KIND_EXTRA)
        changed = next(d for d in found if d.kind == Drift.KIND_CHANGED)
        assert (changed.server, list(changed.wished.values), list(changed.observed.values)) == (
            "backend", ["192.0.2.1"], ["203.0.113.9"],
        )  # fmt: skip
        zone = await admin(daemon).GetZone(GetZoneRequest(name=ZONE))
        assert zone.state == Zone.STATE_DEGRADED
        assert {c.type for c in zone.conditions if c.status == Condition.STATUS_FALSE} == {"RecordsPublished"}
        for d in found:
            if d.kind == Drift.KIND_EXTRA:
                asked = admin(daemon).RepairDrift(RepairDriftRequest(name=d.name))
                assert await reason_of(asked) == "FOREIGN_RECORD", "what is not ours is never deleted"
            else:
                await _repaired(daemon, d)
        await until_kinds(daemon, Drift.KIND_EXTRA)
        backend = await listed(daemon, 2)
        assert (backend[WWW, "A"], backend[f"x.{DOMAIN}.", "A"]) == (["192.0.2.1"], ["192.0.2.8"])
        told = [event for name, event, _ in await outbox(daemon) if name == ZONE]
        assert (told.count("zone.drifted"), told.count("zone.repaired")) == (3, 2)


async def _repaired(daemon: RunningDaemon, d: Drift) -> None:
    """Asks until no other plan of the zone is under way."""

    async def asked() -> bool:
        return await reason_of(admin(daemon).RepairDrift(RepairDriftRequest(name=d.name))) == "OK"

    await eventually(asked, within=60, what=f"a repair of {d.name} begins")
    await _ended(daemon, d)


async def _ended(daemon: RunningDaemon, d: Drift) -> None:
    async def is_so() -> bool:
        return any(x.name == d.name and x.state == Drift.STATE_REPAIRED for x in await seen(daemon, closed=True))

    await eventually(is_so, within=60, what=f"{d.name} is repaired")


async def test_a_zone_that_repairs_itself_does_so_by_a_plan_and_leaves_foreign_records(start: Start, dns: Dns) -> None:
    async with start(**FAST) as daemon:
        await made_zone(daemon, dns, drift_policy=Zone.DRIFT_POLICY_REPAIR)
        await applied(daemon, await planned(daemon, upsert("www", "A", "192.0.2.1")))
        theirs = (Change(f"shop.{DOMAIN}.", "A", 60, ("192.0.2.8",)),
                  Change(f"_externaldns.a-shop.{DOMAIN}.", "TXT", 60, HERITAGE))  # fmt: skip
        await dns.backend.apply(zone=f"{DOMAIN}.", changes=(Change(WWW, "A", 300, ("203.0.113.9",)), *theirs))

        async def mended() -> bool:
            return (await listed(daemon, 2))[WWW, "A"] == ["192.0.2.1"]

        await eventually(mended, within=60, what="the address is ours again")
        await until_kinds(daemon, Drift.KIND_FOREIGN)
        state = await dns.backend.get_zone(zone=f"{DOMAIN}.")
        assert state is not None
        for change in theirs:
            assert state.find(change.name, change.type) == RecordSet(
                change.name, change.type, change.ttl, change.records
            )
        repaired = next(d for d in await seen(daemon, closed=True) if d.state == Drift.STATE_REPAIRED)
        assert repaired.kind == Drift.KIND_CHANGED
        plans = [e for name, e, _ in await outbox(daemon) if name == ZONE]
        assert plans.count("zone.repaired") == 1
        assert (await admin(daemon).GetZone(GetZoneRequest(name=ZONE))).state == Zone.STATE_ACTIVE


async def test_what_is_accepted_becomes_the_wish(start: Start, dns: Dns) -> None:
    async with start(**FAST) as daemon:
        await made_zone(daemon, dns)
        await applied(daemon, await planned(daemon, upsert("www", "A", "192.0.2.1")))
        await dns.backend.apply(zone=f"{DOMAIN}.", changes=(Change(WWW, "A", 300, ("203.0.113.9",)),))
        (d,) = await until_kinds(daemon, Drift.KIND_CHANGED)
        stale = AcceptDriftRequest(name=d.name, etag='"99"')
        assert await reason_of(admin(daemon).AcceptDrift(stale)) == "ETAG_MISMATCH"
        assert (await admin(daemon).AcceptDrift(AcceptDriftRequest(name=d.name))).state == Drift.STATE_ACCEPTED
        assert (await listed(daemon))[WWW, "A"] == ["203.0.113.9"]
        await until_kinds(daemon)
        assert await reason_of(owner(daemon).AcceptDrift(AcceptDriftRequest(name=d.name))) == "CALL_DENIED"
        unknown = RepairDriftRequest(name=f"{ZONE}/drifts/d999")
        assert await reason_of(admin(daemon).RepairDrift(unknown)) == "DRIFT_NOT_FOUND"


async def test_a_server_that_is_away_is_lame_and_no_longer_when_it_is_back(start: Start, dns: Dns) -> None:
    async with start(**FAST) as daemon:
        await made_zone(daemon, dns)
        await _spoil_servers(daemon)
        found = await until_kinds(daemon, Drift.KIND_LAME)
        assert found[0].server == "ns2.dns.example."
        await _spoil_servers(daemon, back=True, dns=dns)
        await until_kinds(daemon)
        assert [d.state for d in await seen(daemon, closed=True)] == [Drift.STATE_CLOSED]


async def test_a_pool_whose_zone_does_not_answer_is_told_to_be_unwatched_and_is_tried_again(
    start: Start, dns: Dns
) -> None:
    async with start(drift_interval=2.0) as daemon:
        await made_active(daemon)
        pools = daemon.admin(PoolServiceStub)

        async def watched() -> Condition | None:
            found = await pools.GetPool(GetPoolRequest(name=POOL))
            left_out = [c for c in found.conditions if c.type == "NamesWatched"]
            assert (found.state == Pool.STATE_DEGRADED) == bool(left_out)
            return left_out[0] if left_out else None

        async def unswept() -> str:
            async with httpx.AsyncClient() as http:
                text = (await http.get(f"{daemon.side}/metrics")).text
            return next((line for line in text.splitlines() if line.startswith("catalyst_pdm_zones_unswept{")), "")

        dns.kill()
        told = await eventually(watched, within=60, what="the pool says that nobody looks at its names")
        assert told is not None
        assert (told.status, told.reason, POOL in told.message) == (Condition.STATUS_FALSE, "BackendUnavailable", True)
        assert await unswept() == 'catalyst_pdm_zones_unswept{pool="omani.works"} 1.0'
        dns.start()

        async def is_back() -> bool:
            return await watched() is None

        await eventually(is_back, within=60, what="its names are looked at again")
        assert await unswept() == ""


async def _spoil_servers(daemon: RunningDaemon, *, back: bool = False, dns: Dns | None = None) -> None:
    """One of the two polled servers listens nowhere; or both where they should again."""
    from dataclasses import replace

    async def step(tx: object) -> None:
        known = await tx.server_set("main", lock=True)  # type: ignore[attr-defined]
        port = dns.served_at[1] if back and dns else 9
        polled = (known.polled[0], replace(known.polled[1], port=port))
        await tx.save_server_set(replace(known, polled=polled, version=known.version + 1))  # type: ignore[attr-defined]

    await daemon.daemon.work.again(step)


async def test_records_of_external_dns_in_the_zone_of_a_name_are_foreign_and_ours_are_watched(
    start: Start, dns: Dns
) -> None:
    async with start(**FAST) as daemon:
        await made_active(daemon)
        name = f"zones/{FQDN}"
        theirs = (
            Change(f"shop.{FQDN}.", "A", 60, ("192.0.2.8",)),
            Change(f"_externaldns.shop.{FQDN}.", "TXT", 60, HERITAGE),
        )
        await dns.backend.apply(zone=f"{FQDN}.", changes=(*theirs, Change(f"api.{FQDN}.", "A", 1, ("203.0.113.9",))))
        found = await until_kinds(daemon, Drift.KIND_FOREIGN, Drift.KIND_CHANGED, name=name)
        assert {(d.observed.name, d.observed.type) for d in found} == {(f"shop.{FQDN}.", "A"), (f"api.{FQDN}.", "A")}
        changed = next(d for d in found if d.kind == Drift.KIND_CHANGED)
        assert await reason_of(admin(daemon).RepairDrift(RepairDriftRequest(name=changed.name))) == "PROTECTED_RECORD"
        moved = UpdateAllocationRequest(allocation=Allocation(name=NAME, targets=[ELSEWHERE]))
        await provisioner(daemon).UpdateAllocation(moved)
        await until(daemon, Allocation.STATE_ACTIVE, generation=2, within=60)
        state = await dns.backend.get_zone(zone=f"{FQDN}.")
        assert state is not None
        assert [state.find(c.name, c.type) is not None for c in theirs] == [True, True], "they survive our own changes"
        told = [(event, version) for aggregate, event, version in await outbox(daemon) if aggregate == name]
        assert [event for event, _ in told].count("zone.drifted") == 2
        assert [version for _, version in told] == sorted({version for _, version in told})


async def test_a_plan_of_a_repair_names_what_it_was_for(start: Start, dns: Dns) -> None:
    async with start(**FAST) as daemon:
        await made_zone(daemon, dns)
        await applied(daemon, await planned(daemon, upsert("www", "A", "192.0.2.1")))
        await dns.backend.apply(zone=f"{DOMAIN}.", changes=(Change(WWW, "A", 300, ("203.0.113.9",)),))
        (d,) = await until_kinds(daemon, Drift.KIND_CHANGED)
        await _repaired(daemon, d)
        async with daemon.daemon.work.reading() as tx:
            (kept,) = await tx.drifts_before(DOMAIN, None, 9, closed=True, owners=None)

        async def done() -> Plan | None:  # a sweep may see the repair before its plan has ended
            plan = await admin(daemon).GetPlan(GetPlanRequest(name=kept.plan))
            return plan if plan.state != Plan.STATE_APPLYING else None

        plan = await eventually(done, within=60, what="the plan ends")
        assert (plan.state, [c.sentence for c in plan.changes]) == (
            Plan.STATE_APPLIED, [f"A of {WWW} changes from 203.0.113.9 to 192.0.2.1"],
        )  # fmt: skip


keys = st.tuples(st.sampled_from(["a.", "b.", "c."]), st.sampled_from(["A", "TXT"]))
worlds = st.dictionaries(keys, st.integers(1, 2))


@settings(max_examples=80)
@given(worlds, st.lists(worlds, min_size=1, max_size=4))
def test_however_often_the_world_is_looked_at_one_difference_has_one_open_record(
    wish: dict[tuple[str, str], int], looks: list[dict[tuple[str, str], int]]
) -> None:
    def sets(of: dict[tuple[str, str], int]) -> dict[tuple[str, str], RecordSet]:
        return {key: RecordSet(*key, 60, (str(n),)) for key, n in of.items()}

    known: dict[int, drifts.Drift] = {}
    for look in looks:
        sights = drifts.compare(sets(wish), sets(look))
        for _ in range(2):
            new, moved = drifts.settle("z", "o", list(known.values()), sights, NOON)
            for d in moved:
                known[d.number] = d
            for d in new:
                number = len(known) + 1
                known[number] = drifts.Drift(number, d.zone, d.owner, d.sight, d.state, d.opened_at)
        open_ones = [d for d in known.values() if d.closed_at is None]
        assert sorted(d.sight.identity for d in open_ones) == sorted(s.identity for s in sights)
        assert len({d.sight.identity for d in open_ones}) == len(open_ones)
    assert all(d.state in (State.OPEN, State.CLOSED) for d in known.values())


def test_what_others_keep_is_foreign_under_every_form_of_mark() -> None:
    from catalyst_pool_domain_manager.domain.ownership import foreign_keys

    def text(name: str, value: str = HERITAGE[0]) -> RecordSet:
        return RecordSet(name, "TXT", 60, (value,))

    found = foreign_keys(
        [text("_externaldns.a-shop.z."), text("_externaldns.old.z.", '"encrypted"'), text("plain.z."),
         text("_owner.mx._wildcard.z.", '"owner=organizations/else"'), text("_owner.a.mine.z.", '"owner=organizations/me"')],
        "organizations/me",
    )  # fmt: skip
    assert {("shop.z.", "A"), ("old.z.", "CNAME"), ("plain.z.", "A"), ("*.z.", "MX")} <= found
    assert ("mine.z.", "A") not in found
    sight = Sight(Kind.FOREIGN, name="shop.z.", type="A")
    assert [c.status for c in drifts.conditions([sight], signed=True)] == ["False", "True", "True", "True"]

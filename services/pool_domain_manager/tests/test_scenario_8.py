"""Scenario 8: a domain with mail and DS moves from its old host to our servers, and nobody who writes a letter notices."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Delegation, Drift, Soa, Zone
from catalyst.pooldomain.v1.service_pb2 import (
    AcceptDriftRequest,
    CloseRollbackWindowRequest,
    DeleteZoneRequest,
    DiffZoneRequest,
    GetZoneRequest,
    ListRecordSetsRequest,
    RepairDriftRequest,
    RollKeyRequest,
    UpdateZoneRequest,
)
from catalyst_mesh import Database
from catalyst_mesh.journal import Engine
from catalyst_pool_domain_manager.domain import delegations, dnssec, hosting
from catalyst_pool_domain_manager.store import Store, metadata
from catalyst_sdk.dns import Change
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from catalyst_testkit.servers import NatsServer
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import select, update

from .calls import outbox
from .conftest import Dns, on_every_server_in_long_runs
from .flip_bench import (
    CUT,
    DOMAIN,
    HOSTS,
    OLD_HOSTS,
    ORIGIN,
    World,
    begin,
    cuts,
    flipped,
    planned,
    prepared,
    rolled,
    stands,
    until,
    watched,
    world,
)
from .test_drift import until_kinds
from .zone_calls import ZONE, admin, ended, until_zone

pytestmark = pytest.mark.either_database


@on_every_server_in_long_runs
async def test_scenario_8_mail_is_answered_alike_before_during_and_after_a_flip_and_its_way_back(
    home: Path, dns: Dns, clean_nats: NatsServer, database: str
) -> None:
    async with world(home, dns) as it, begin(it, home, clean_nats, database) as daemon:
        await prepared(daemon, it)
        before = it.fake.domains[DOMAIN].ds
        async with watched(it) as samples:
            plan = await planned(daemon, it)
            assert [f.rule for f in plan.safety] == ["dnssec"]
            done = await ended(daemon, await flipped(daemon, plan))
            assert done.HasField("response"), done.error
            cut = await until(daemon, Delegation.STATE_DELEGATED)
            assert set(it.fake.domains[DOMAIN].ns) == set(HOSTS)
            assert set(cut.snapshot.records.ns) == set(OLD_HOSTS)
            after = await it.resolver.resolve(f"mail.{DOMAIN}.", "A")
            assert (after.secure, after.records) == (True, ("192.0.2.25",)), after.why
            assert it.fake.domains[DOMAIN].ds != before
            done = await ended(daemon, await rolled(daemon))
            assert done.HasField("response"), done.error
            cut = await until(daemon, Delegation.STATE_ROLLED_BACK)
            assert (it.fake.domains[DOMAIN].ns, it.fake.domains[DOMAIN].ds) == (list(OLD_HOSTS), before)
            assert not cut.HasField("rollback_until_time")
            assert await reason_of(rolled(daemon)) == "ROLLBACK_WINDOW_CLOSED"
        assert samples.wrong == []
        assert samples.taken > 20


async def test_scenario_8_hosts_that_show_each_other_s_keys_keep_a_domain_signed_at_every_moment(
    home: Path, dns: Dns, clean_nats: NatsServer
) -> None:
    async with world(home, dns) as it, begin(it, home, clean_nats) as daemon:
        await prepared(daemon, it)
        before = it.fake.domains[DOMAIN].ds
        (told,) = (await planned(daemon, it)).safety
        own = await shown_at_the_old_host(it)
        assert own in told.detail, "which key the present host would have to show"
        async with watched(it) as samples:
            plan = await planned(daemon, it)
            assert "all stays signed" in plan.safety[0].detail
            done = await ended(daemon, await flipped(daemon, plan))
            assert done.HasField("response"), done.error
            await until(daemon, Delegation.STATE_DELEGATED)
            assert set(it.fake.domains[DOMAIN].ns) == set(HOSTS)
            assert it.fake.writes == 3, "both DS, name servers, ours alone"
            state = await it.ours.backend.get_zone(zone=ORIGIN)
            assert state is not None
            assert state.find(ORIGIN, "DNSKEY") is None, "the old host's key is not shown any more"
            assert [key["tag"] for key in it.fake.domains[DOMAIN].ds] == [state.keys[0].tag]
        assert (samples.wrong, samples.bare) == ([], 0)
        assert samples.taken > 10
        async with watched(it) as samples:
            await ended(daemon, await rolled(daemon))
            assert (it.fake.domains[DOMAIN].ns, it.fake.domains[DOMAIN].ds) == (list(OLD_HOSTS), before)
        assert samples.wrong == []


async def test_scenario_8_beside_two_signers_a_server_that_dies_is_left_without_one_unsigned_answer(
    home: Path, dns: Dns, clean_nats: NatsServer
) -> None:
    async with world(home, dns) as it, begin(it, home, clean_nats, flip_watch=600) as daemon:
        await prepared(daemon, it)
        before = it.fake.domains[DOMAIN].ds
        await shown_at_the_old_host(it)
        async with watched(it) as samples:
            await flipped(daemon, await planned(daemon, it))
            await until(daemon, Delegation.STATE_WATCHING)
            assert len(it.fake.domains[DOMAIN].ds) == 2
            against = DiffZoneRequest(name=ZONE, against=ListRecordSetsRequest.SOURCE_SERVERS)
            changed = (await admin(daemon).DiffZone(against)).changes
            assert [one.sentence for one in changed if "DNSKEY" in one.sentence] == [], "both hosts' keys are as wished"
            await demand_kept_while_it_moves(daemon)
            dns.kill()
            await until(daemon, Delegation.STATE_ROLLED_BACK)
            assert (it.fake.domains[DOMAIN].ns, it.fake.domains[DOMAIN].ds) == (list(OLD_HOSTS), before)
        assert (samples.wrong, samples.bare) == ([], 0)


async def demand_kept_while_it_moves(daemon: RunningDaemon) -> None:
    """Nobody takes away what the domain comes to, nor the way by which it goes back by itself."""
    kept = await admin(daemon).GetZone(GetZoneRequest(name=ZONE))
    gone = admin(daemon).DeleteZone(DeleteZoneRequest(name=ZONE, etag=kept.etag))
    closed = cuts(daemon).CloseRollbackWindow(CloseRollbackWindowRequest(name=CUT))
    assert [await reason_of(call) for call in (gone, closed)] == ["PROTECTED_RECORD"] * 2


async def test_scenario_8_a_new_name_server_that_dies_takes_everything_back(
    home: Path, dns: Dns, clean_nats: NatsServer
) -> None:
    async with (
        world(home, dns) as it,
        begin(it, home, clean_nats, flip_watch=600, resolvers=(it.old.address,)) as daemon,
    ):
        await prepared(daemon, it)
        async with watched(it) as samples:
            operation = await flipped(daemon, await planned(daemon, it))
            await until(daemon, Delegation.STATE_WATCHING)
            await until_told(daemon, "ResolversAgree", "0 of 1 tell the new name servers")
            assert set(it.fake.domains[DOMAIN].ns) == set(HOSTS)
            roll = RollKeyRequest(name=f"{ZONE}/dnssec")
            assert await reason_of(admin(daemon).RollKey(roll)) == "PROTECTED_RECORD", "keys stay while a domain moves"
            dns.kill()
            cut = await until(daemon, Delegation.STATE_ROLLED_BACK)
        assert (it.fake.domains[DOMAIN].ns, len(it.fake.domains[DOMAIN].ds)) == (list(OLD_HOSTS), 1)
        assert samples.wrong == [], "no letter was told a wrong place, whoever was silent"
        failed = await ended(daemon, operation)
        assert "failed 3 probes in a row" in failed.error.message
        after = await it.resolver.resolve(f"{DOMAIN}.", "MX")
        assert (after.secure, cut.state) == (True, Delegation.STATE_ROLLED_BACK), after.why


async def until_told(daemon: RunningDaemon, kind: str, text: str) -> None:
    """The delegation has a condition of that type that says so."""

    async def is_told() -> bool:
        return any(c.type == kind and text in c.message for c in (await stands(daemon)).conditions)

    await eventually(is_told, within=60, what=f"{kind} says {text}")


async def test_a_change_that_nobody_answered_for_and_that_lands_after_the_way_back_is_taken_back_too(
    home: Path, dns: Dns, clean_nats: NatsServer
) -> None:
    async with world(home, dns) as it:
        old = list(OLD_HOSTS), it.fake.domains[DOMAIN].ds
        landed: list[str] = []

        async def late(point: str) -> None:
            if point == "pdm.back.late.before" and not landed:
                assert (it.fake.domains[DOMAIN].ns, it.fake.domains[DOMAIN].ds) == (old[0], []), "no key is back yet"
                it.fake.domains[DOMAIN].ns, it.fake.domains[DOMAIN].ds = list(HOSTS), []
                landed.append(point)

        async with begin(it, home, clean_nats, failpoint=late, drift_interval=0.5) as daemon:
            await prepared(daemon, it)
            await ended(daemon, await flipped(daemon, await planned(daemon, it)))
            await until(daemon, Delegation.STATE_DELEGATED)

            async def unanswered(tx: Store) -> None:
                d = await tx.delegation(DOMAIN, lock=True)
                assert d is not None
                await tx.save_delegation(delegations.tasked(d, delegations.UNKNOWN, tx.now))

            await daemon.daemon.work.again(unanswered)
            done = await ended(daemon, await rolled(daemon))
            assert done.HasField("response"), done.error
            assert (it.fake.domains[DOMAIN].ns, it.fake.domains[DOMAIN].ds) == old
            assert landed
            await what_lands_later_still_is_kept_or_taken_back(daemon, it, old)


async def what_lands_later_still_is_kept_or_taken_back(
    daemon: RunningDaemon, it: World, old: tuple[list[str], list[dict[str, object]]]
) -> None:
    """As a person says where the zone's policy only tells, and by itself where that repairs."""
    there, admins = it.fake.domains[DOMAIN], admin(daemon)

    async def is_back() -> bool:
        return (there.ns, there.ds) == old

    there.ns = list(HOSTS)
    (found,) = await until_kinds(daemon, Drift.KIND_NS_MISMATCH)
    assert [host.rstrip(".") for host in found.observed.values] == list(HOSTS)
    accepted = AcceptDriftRequest(name=found.name)
    assert await reason_of(admins.AcceptDrift(accepted)) == "PROTECTED_RECORD", "beside the old host's key all is bogus"
    await admins.RepairDrift(RepairDriftRequest(name=found.name))
    await eventually(is_back, within=60, what="it is taken back")
    await until(daemon, Delegation.STATE_ROLLED_BACK)
    await until_kinds(daemon)

    there.ns, there.ds = list(HOSTS), []
    kinds = Drift.KIND_NS_MISMATCH, Drift.KIND_DS_MISMATCH
    (found,) = (d for d in await until_kinds(daemon, *kinds) if d.kind == Drift.KIND_NS_MISMATCH)
    assert (await admins.AcceptDrift(AcceptDriftRequest(name=found.name))).state == Drift.STATE_ACCEPTED
    cut = await until(daemon, Delegation.STATE_DELEGATED)
    assert [host.rstrip(".") for host in cut.wished.ns] == list(HOSTS)
    await until_kinds(daemon)

    await ended(daemon, await rolled(daemon))
    there.ns, there.ds = list(HOSTS), []
    await until_kinds(daemon, *kinds)
    etag = (await admins.GetZone(GetZoneRequest(name=ZONE))).etag
    zone = Zone(name=ZONE, drift_policy=Zone.DRIFT_POLICY_REPAIR)
    await admins.UpdateZone(UpdateZoneRequest(zone=zone, etag=etag, update_mask={"paths": ["drift_policy"]}))
    await eventually(
        lambda: there.ns == old[0], within=60, what="it is taken back by itself, though it was told before"
    )
    assert there.ds == [], "the old host's key waits until no cache has our name servers, which live for an hour again"


async def test_scenario_8_the_key_of_a_moved_domain_is_exchanged_by_its_registrar_without_one_bogus_answer(
    home: Path, dns: Dns, clean_nats: NatsServer
) -> None:
    second = Duration(seconds=1)
    async with world(home, dns) as it, begin(it, home, clean_nats) as daemon:
        await prepared(daemon, it, soa=Soa(minimum=second))
        await ended(daemon, await flipped(daemon, await planned(daemon, it)))
        await until(daemon, Delegation.STATE_DELEGATED)
        await short_lived(daemon)
        before, writes = it.fake.domains[DOMAIN].ds, it.fake.writes
        async with watched(it) as samples:
            begun = await admin(daemon).RollKey(RollKeyRequest(name=f"{ZONE}/dnssec"))
            await let_an_hour_pass(daemon, "activated")
            done = await ended(daemon, begun.name)
            assert done.HasField("response"), done.error
        assert samples.wrong == []
        (key,) = it.fake.domains[DOMAIN].ds
        assert key not in before
        assert it.fake.writes == writes + 2, "both DS, then the new one alone"
        assert it.fake.domains[DOMAIN].ns == [host.rstrip(".") for host in HOSTS]
        after = await it.resolver.resolve(f"mail.{DOMAIN}.", "A")
        assert (after.secure, after.records) == (True, ("192.0.2.25",)), after.why


async def let_an_hour_pass(daemon: RunningDaemon, step: str) -> None:
    """What time does for the zone's mark, which lives longer than its records: nobody holds it after that step any more."""
    t, runs = metadata.tables["journal_step"], metadata.tables["journal_run"]
    resting = f"{step}{dnssec.REST}"

    async def has_passed() -> bool:
        """The run may have begun to rest before; then it is woken."""
        async with daemon.daemon.db.begin() as sql:
            output = {"not_before": LONG_AGO.isoformat()}
            await sql.execute(update(t).where(t.c.name == step, t.c.state == "succeeded").values(output=output))
            rests = t.c.name == resting, t.c.state == "waiting"
            await sql.execute(
                update(runs).where(runs.c.id.in_(select(t.c.run_id).where(*rests))).values(wake_at=LONG_AGO)
            )
            await sql.execute(update(t).where(*rests).values(wake_at=LONG_AGO))
            state = await sql.scalar(select(t.c.state).where(t.c.name == resting))
        for engine in (one for one in daemon.daemon.workers if isinstance(one, Engine)):
            engine.wake()
        return bool(state == "succeeded")

    await eventually(has_passed, within=60, what=f"nobody holds what was there before {step}")


async def short_lived(daemon: RunningDaemon) -> None:
    """Nobody keeps anything of the zone for longer than a second."""

    async def step(tx: Store) -> None:
        zone = await tx.zone(DOMAIN, lock=True)
        assert zone is not None
        after = hosting.wish(zone, tx.now)
        known = [w for w in await tx.wishes_of(DOMAIN) if w.records]
        await tx.wish_sets(DOMAIN, [replace(w, ttl=1, revision=after.revision) for w in known])
        await tx.save_zone(after)

    await daemon.daemon.work.again(step)
    await until_zone(daemon)


LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """Nobody catches it: no lease is given back, nothing is put in order."""


class Reaper:
    """Kills at each of its points once."""

    def __init__(self, points: list[str]) -> None:
        self.left = list(points)
        self.died = asyncio.Event()

    async def __call__(self, point: str) -> None:
        if point in self.left:
            self.left.remove(point)
            self.died.set()
            raise Killed(point)


FIRST, LAST = ("stage", "replay", "snapshot"), ("flip", "visible", "watch", "secure")
STEPS = (*FIRST, "insecure", *LAST, "confirm")
JOINT = (*FIRST, "joined", *LAST, "parted", "confirm")
BACK = ("let-go", "unsecure", "restore", "caches", "rekey", "returned")


@pytest.mark.parametrize("steps", [STEPS, JOINT], ids=["one signer", "two signers"])
async def test_scenario_8_who_dies_after_any_step_leaves_a_move_that_the_next_one_ends(
    home: Path, dns: Dns, clean_nats: NatsServer, steps: tuple[str, ...]
) -> None:
    async with world(home, dns) as it:
        async with begin(it, home, clean_nats) as daemon:
            await prepared(daemon, it)
        if steps is JOINT:
            await shown_at_the_old_host(it)
        reaper = Reaper([f"pdm.flip.{name}.after" for name in steps])
        async with watched(it) as samples:
            operation = await live_through(it, home, clean_nats, reaper, start=True)
            async with begin(it, home, clean_nats) as daemon:
                await until(daemon, Delegation.STATE_DELEGATED)
                assert (await ended(daemon, operation)).HasField("response")
            writes = it.fake.writes
            assert writes == 3, "DS out or both in, name servers, the new DS alone: each once"
            assert (samples.bare == 0) is (steps is JOINT)
            reaper = Reaper([f"pdm.back.{name}.after" for name in BACK])
            await live_through(it, home, clean_nats, reaper, start=False)
            async with begin(it, home, clean_nats) as daemon:
                await until(daemon, Delegation.STATE_ROLLED_BACK)
                told = [event for name, event, _ in await outbox(daemon) if name == CUT]
            assert it.fake.writes == writes + 3
        assert samples.wrong == []
        assert told == ["delegation.planned", "delegation.applied", "delegation.confirmed", "delegation.rolled_back"]


async def shown_at_the_old_host(it: World) -> str:
    """Its owner has entered the key of our servers there; the key."""
    state = await it.ours.backend.get_zone(zone=ORIGIN)
    assert state is not None
    (own,) = (key.dnskey for key in state.keys)
    await it.old.backend.apply(zone=ORIGIN, changes=(Change(ORIGIN, "DNSKEY", 1, (own,)),))
    return own


async def live_through(it: World, home: Path, nats: NatsServer, reaper: Reaper, *, start: bool) -> str:
    """Begin the move, or its way back, and start the daemon again after each death; the operation's name."""
    operation = ""
    while reaper.left:
        reaper.died.clear()
        with suppress(Killed, BaseExceptionGroup):
            async with begin(it, home, nats, failpoint=reaper) as daemon:
                if not operation:
                    operation = await (flipped(daemon, await planned(daemon, it)) if start else rolled(daemon))
                await asyncio.wait_for(reaper.died.wait(), 60)
        await let_leases_end(home)
    return operation


async def let_leases_end(home: Path) -> None:
    """What time does after a death: the dead one's leases end."""
    db = await Database.open(f"sqlite+aiosqlite:///{home}/pdm/test.db")
    async with db.begin() as sql:
        await sql.execute(update(metadata.tables["journal_run"]).values(lease_until=0))
        await sql.execute(update(metadata.tables["lease"]).values(until=LONG_AGO))
    await db.close()

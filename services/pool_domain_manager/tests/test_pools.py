"""Pools change and go; the policy of one is data."""

import grpc
import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Pool, PoolPolicy, PoolTtls, RecordLayoutEntry
from catalyst.pooldomain.v1.service_pb2 import (
    CheckNameRequest,
    CreatePoolRequest,
    DeleteNameServerSetRequest,
    DeletePoolRequest,
    GetNameServerSetRequest,
    GetPoolRequest,
    UpdateNameServerSetRequest,
    UpdatePoolRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub, NameServerSetServiceStub, PoolServiceStub
from catalyst_mesh import explain
from catalyst_sdk.dns import Change
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from catalyst_testkit.servers import free_port
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import text

from .calls import POOL, ZONE, commitment, get, provisioner, release, reservation, reserve, until
from .conftest import Dns, Start
from .zone_calls import DOMAIN, HOSTS, SET, admin, made_servers, zone

pytestmark = pytest.mark.either_database

on_one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


async def pool(daemon: RunningDaemon) -> Pool:
    return await daemon.admin(PoolServiceStub).GetPool(GetPoolRequest(name=POOL))


async def active_pool(daemon: RunningDaemon) -> Pool:
    """The pool once its zone was seen; nothing but a wish changes it then."""

    async def seen() -> Pool | None:
        found = await pool(daemon)
        return found if found.state == Pool.STATE_ACTIVE else None

    found = await eventually(seen, within=60)
    assert found is not None
    return found


async def update(daemon: RunningDaemon, *paths: str, etag: str = "", **fields: object) -> Pool:
    """Change the pool as it was read; where nobody says when that was, as it is now."""
    pools = daemon.admin(PoolServiceStub)
    request = UpdatePoolRequest(pool=Pool(name=POOL, **fields), update_mask=FieldMask(paths=paths), etag=etag)
    request.etag = etag or (await pool(daemon)).etag
    return await pools.UpdatePool(request)


@on_one_database
async def test_only_what_the_mask_names_changes_and_a_stale_etag_changes_nothing(start: Start) -> None:
    async with start(sweep_interval=3600) as daemon:
        before = await active_pool(daemon)
        after = await update(daemon, "ttls.record", ttls=PoolTtls(record=Duration(seconds=60), ns=Duration(seconds=9)))
        assert (after.ttls.record.seconds, after.ttls.ns.seconds) == (60, 1)
        assert (after.generation, after.allow_private_targets) == (before.generation + 1, True)
        assert await reason_of(update(daemon, etag=before.etag, quarantine=Duration(seconds=5))) == "ETAG_MISMATCH"
        layout = [RecordLayoutEntry(name="@"), RecordLayoutEntry(name="*")]
        assert [e.name for e in (await update(daemon, record_layout=layout)).record_layout] == ["@", "*"]
        for paths in (("zone",), ("policy.version",), ("kinds.x",), ("nothing",)):
            assert await reason_of(update(daemon, *paths)) == "REQUEST_INVALID"
        assert await reason_of(update(daemon, "kinds")) == "REQUEST_INVALID", "a pool is for something"


@on_one_database
async def test_new_rules_hold_at_once_and_a_refusal_names_the_rule_and_the_version(start: Start) -> None:
    async with start(sweep_interval=3600) as daemon:
        await active_pool(daemon)
        rules = PoolPolicy(reserved_labels=["shop"], reserved_patterns=[r"edge\d+"], max_label_length=12)
        after = await update(daemon, "policy", policy=rules)
        assert (after.policy.version, after.policy.reserved_labels) == (2, ["shop"])
        assert {"shop", "www"} <= set(after.effective_policy.reserved_labels)
        assert after.effective_policy.max_names_per_owner == 50
        assert not after.policy.HasField("max_names_per_owner"), "it follows the base"
        stub = daemon.stub(AllocationServiceStub)
        for label, rule in (("shop", "reserved"), ("edge7", "pattern"), ("a" * 13, "length")):
            checked = await stub.CheckName(CheckNameRequest(parent=POOL, label=label))
            assert (checked.available, checked.rule) == (False, rule)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await reserve(daemon, label)
            assert {"rule": rule, "policy_version": "2"}.items() <= explain(refused.value).metadata.items()


async def test_a_pool_goes_only_without_names_and_may_come_again(start: Start) -> None:
    async with start(sweep_interval=3600) as daemon:
        admin = daemon.admin(PoolServiceStub)
        await reserve(daemon)
        wish = DeletePoolRequest(name=POOL, etag=(await active_pool(daemon)).etag)
        assert await reason_of(admin.DeletePool(wish)) == "POOL_NOT_EMPTY"
        await release(daemon)
        stale = DeletePoolRequest(name=POOL, etag='"99"')
        assert await reason_of(admin.DeletePool(stale)) == "ETAG_MISMATCH"
        rehearsed = DeletePoolRequest(name=POOL, etag=wish.etag, validate_only=True)
        assert await reason_of(admin.DeletePool(rehearsed)) == "OK"
        assert await reason_of(admin.DeletePool(wish)) == "OK"
        assert await reason_of(reserve(daemon)) == "POOL_NOT_FOUND"
        await admin.CreatePool(CreatePoolRequest(pool_id="omani.works", pool=Pool(kinds=[1])))
        await reserve(daemon)
        async with daemon.daemon.db.read() as sql:
            rows = await sql.execute(
                text("SELECT subject FROM outbox WHERE aggregate = :a ORDER BY number"), {"a": POOL}
            )
            told = [subject.removeprefix("catalyst.v1.pooldomain.pool.") for (subject,) in rows]
    assert [event for event in told if event != "updated"] == ["created", "deleted", "created"]


@on_one_database
async def test_a_pool_whose_records_would_be_asked_for_all_the_time_is_refused_outside_of_development(
    start: Start,
) -> None:
    async with start(pool=Pool(kinds=[Pool.KIND_SOVEREIGN]), least_ttl=60) as daemon:
        await active_pool(daemon)
        short = update(daemon, "ttls.record", ttls=PoolTtls(record=Duration(seconds=59)))
        assert await reason_of(short) == "REQUEST_INVALID"
        after = await update(daemon, "ttls.record", ttls=PoolTtls(record=Duration(seconds=60)))
        assert after.ttls.record.seconds == 60


@on_one_database
async def test_an_identity_that_asks_too_often_is_told_when_to_come_again_and_no_other_is(start: Start) -> None:
    async with start(sweep_interval=3600) as daemon:
        await active_pool(daemon)
        slow = PoolPolicy(checks_per_second=1, check_burst=2, reservations_per_minute=2)
        await update(daemon, "policy", policy=slow)
        hasty, other = (daemon.member(AllocationServiceStub, org) for org in ("omantel", "rival"))
        question = CheckNameRequest(parent=POOL, label="acme")
        assert [await reason_of(hasty.CheckName(question)) for _ in range(2)] == ["OK", "OK"]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            for _ in range(50):  # each takes longer than nothing, and a token comes in each second
                await hasty.CheckName(question)
        why = explain(refused.value)
        assert why.reason == "RATE_LIMITED"
        assert why.retry_after is not None
        assert await reason_of(other.CheckName(question)) == "OK"
        taken = [await reason_of(hasty.ReserveAllocation(reservation(f"n-{n}"))) for n in range(3)]
        assert taken == ["OK", "OK", "RATE_LIMITED"]
        assert await reason_of(provisioner(daemon).ReserveAllocation(reservation("daemon"))) == "OK"


async def test_names_of_a_pool_lie_on_its_set_of_servers_once_every_one_of_them_answers(start: Start, dns: Dns) -> None:
    async with start(drift_interval=0.5) as daemon:
        await active_pool(daemon)
        await made_servers(daemon, dns)
        sets = daemon.admin(NameServerSetServiceStub)
        made = await sets.GetNameServerSet(GetNameServerSetRequest(name=SET))
        made.polled[1].port = free_port()  # nobody answers there yet
        made = await sets.UpdateNameServerSet(UpdateNameServerSetRequest(name_server_set=made, etag=made.etag))
        nobodys = update(daemon, "name_server_set", name_server_set="nameServerSets/nobodys")
        assert await reason_of(nobodys) == "NAME_SERVER_SET_NOT_FOUND"
        assert (await update(daemon, "name_server_set", name_server_set=SET)).name_server_set == SET
        token = (await reserve(daemon)).reservation_token
        await provisioner(daemon).CommitAllocation(commitment(token))

        async def waits() -> bool:
            return any("ns2.dns.example" in one.message for one in (await get(daemon)).conditions)

        await eventually(waits, within=60, what="the name waits for the second server")
        made.polled[1].port = dns.served_at[1]
        await sets.UpdateNameServerSet(UpdateNameServerSetRequest(name_server_set=made, etag=made.etag))
        await until(daemon, Allocation.STATE_ACTIVE)
        child, parent = await dns.backend.get_zone(zone=ZONE), await dns.backend.get_zone(zone="omani.works.")
        assert child is not None
        assert parent is not None
        hosts = {f"{host}." for host in HOSTS}
        assert [set(zone.find(ZONE, "NS").records) for zone in (child, parent)] == [hosts, hosts]  # type: ignore[union-attr]
        await _held_names_follow(daemon, dns)
        known = await sets.GetNameServerSet(GetNameServerSetRequest(name=SET))
        wish = DeleteNameServerSetRequest(name=SET, etag=known.etag)
        assert await reason_of(sets.DeleteNameServerSet(wish)) == "NAME_SERVER_SET_IN_USE"
        await release(daemon)
        await until(daemon, Allocation.STATE_QUARANTINED)
        parent = await dns.backend.get_zone(zone="omani.works.")
        assert parent is not None
        assert [r for r in parent.record_sets if r.name == ZONE] == []
        hour = PoolTtls(ns=Duration(seconds=3600))
        left = await update(daemon, "name_server_set", "ttls.ns", name_server_set="", ttls=hour)
        assert [c.message for c in left.conditions if c.type == "FormerServersQuiet"] == [
            f"{SET}: it has left them, and a delegation still leads there"
        ]
        assert await reason_of(sets.DeleteNameServerSet(wish)) == "NAME_SERVER_SET_IN_USE", "caches lead there"


async def _held_names_follow(daemon: RunningDaemon, dns: Dns) -> None:
    """Names that are held take the servers that their pool has by now, one after the other, and are visible all the while."""
    own = (await dns.backend.get_zone(zone="omani.works.")).find("omani.works.", "NS")  # type: ignore[union-attr]
    for name, wanted in (("", set(own.records)), (SET, {f"{host}." for host in HOSTS})):  # type: ignore[union-attr]
        await update(daemon, "name_server_set", name_server_set=name)

        async def followed(wanted: set[str] = wanted) -> bool:
            sets = [await dns.backend.get_zone(zone=zone) for zone in (ZONE, "omani.works.")]
            return all(state and set(state.find(ZONE, "NS").records) == wanted for state in sets)  # type: ignore[union-attr]

        await eventually(followed, within=60, what=f"the name has the servers {wanted}")
        await until(daemon, Allocation.STATE_ACTIVE)
        if not name:  # of the others' hosts no hint tells
            answer = await dns.resolver.resolve(ZONE, "A")
            assert answer.secure, answer.why


async def test_where_the_policy_says_so_a_name_in_another_script_is_held_in_both_its_forms(start: Start) -> None:
    async with start(sweep_interval=3600) as daemon:
        await active_pool(daemon)
        names = provisioner(daemon)
        question = CheckNameRequest(parent=POOL, label="Bücher")
        assert (await names.CheckName(question)).rule == "characters"
        after = await update(daemon, "policy", policy=PoolPolicy(allow_idn=True))
        assert (after.policy.allow_idn, after.effective_policy.allow_idn) == (True, True)
        checked = await names.CheckName(question)
        assert (checked.available, checked.fqdn) == (True, "xn--bcher-kva.omani.works")
        made = (await reserve(daemon, "Bücher")).allocation
        assert (made.name, made.unicode_fqdn) == (f"{POOL}/allocations/xn--bcher-kva", "bücher.omani.works")
        assert (await names.CheckName(CheckNameRequest(parent=POOL, label="xn--bcher-kva"))).reason == "NAME_TAKEN"
        assert (await names.CheckName(CheckNameRequest(parent=POOL, label="bucher"))).rule == "confusable"
        assert await reason_of(reserve(daemon, "bucher")) == "LABEL_INVALID"


@on_one_database
async def test_scenario_14_a_pool_whose_zone_is_missing_waits_for_it_and_no_start_makes_it(
    start: Start, dns: Dns
) -> None:
    wish = CreatePoolRequest(pool_id="omani.trade", pool=Pool(kinds=[Pool.KIND_SOVEREIGN], backend=dns.pool_backend))
    for _ in range(2):
        async with start() as daemon:
            pools = daemon.admin(PoolServiceStub)
            assert await reason_of(pools.CreatePool(wish)) in ("OK", "POOL_EXISTS")

            async def told(pools: PoolServiceStub = pools) -> bool:
                found = await pools.GetPool(GetPoolRequest(name="pools/omani.trade"))
                return found.state == Pool.STATE_PENDING and "PDM never does" in found.conditions[0].message

            await eventually(told, within=60)
            assert await dns.backend.get_zone(zone="omani.trade.") is None


@on_one_database
async def test_no_pool_lies_in_another_one_and_none_is_the_domain_of_somebody(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_servers(daemon, dns)
        await admin(daemon).CreateZone(zone(dns))
        pools = daemon.admin(PoolServiceStub)
        for domain in ("sub.omani.works", "a.sub.omani.works", DOMAIN):
            wish = CreatePoolRequest(pool_id=domain, pool=Pool(kinds=[Pool.KIND_SOVEREIGN], backend=dns.pool_backend))
            assert await reason_of(pools.CreatePool(wish)) == "REQUEST_INVALID", domain


@on_one_database
async def test_a_wildcard_in_the_zone_keeps_a_pool_pending_until_it_is_gone(start: Start, dns: Dns) -> None:
    wild = Change("*.omani.works.", "A", 60, ("127.7.0.9",))
    await dns.backend.apply(zone="omani.works.", changes=(wild,))
    async with start() as daemon:

        async def told() -> bool:
            found = await pool(daemon)
            return found.state == Pool.STATE_PENDING and "wildcard" in found.conditions[0].message

        await eventually(told, within=60)
        await dns.backend.apply(zone="omani.works.", changes=(Change("*.omani.works.", "A"),))

        await active_pool(daemon)

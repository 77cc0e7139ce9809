"""What is visible is looked at; what rests is looked at before it is given away."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Pool
from catalyst.pooldomain.v1.service_pb2 import ForceReleaseAllocationRequest, ReconcileAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_sdk.dns import Change
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from catalyst_testkit.fake_registrar import serving
from google.protobuf.duration_pb2 import Duration

from .calls import FQDN, NAME, ZONE, commitment, get, made_active, outbox, provisioner, release, reserve, until
from .conftest import DEMO, Dns, Start
from .test_certificates import FakeSearch

pytestmark = pytest.mark.either_database

on_one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


async def events(daemon: RunningDaemon) -> list[str]:
    return [event.removeprefix("allocation.") for name, event, _ in await outbox(daemon) if name == NAME]


@on_one_database
async def test_a_lost_delegation_degrades_a_name_until_it_is_made_anew(start: Start, dns: Dns) -> None:
    async with start(drift_interval=0.2) as daemon:
        await made_active(daemon)
        await dns.backend.apply(zone="omani.works.", changes=(Change(ZONE, "DS"), Change(ZONE, "NS")))
        a = await until(daemon, Allocation.STATE_DEGRADED, within=60)
        assert [c.reason for c in a.conditions if c.type == "Delegated"] == ["Missing"]
        await provisioner(daemon).ReconcileAllocation(ReconcileAllocationRequest(name=NAME))
        await until(daemon, Allocation.STATE_ACTIVE, within=60)
        assert (await dns.resolver.resolve(f"console.{FQDN}", "A")).secure
        told = await events(daemon)
        assert told == ["reserved", "committed", "activated", "degraded", "committed", "activated"]


@on_one_database
async def test_a_key_that_the_parent_does_not_name_is_bogus_and_recovers_by_itself_when_it_is_back(
    start: Start, dns: Dns
) -> None:
    async with start(drift_interval=0.2) as daemon:
        await made_active(daemon)
        parent = await dns.backend.get_zone(zone="omani.works.")
        ds = parent.find(ZONE, "DS") if parent else None
        assert ds is not None
        wrong = ds.records[0][:-4] + ("0000" if not ds.records[0].endswith("0000") else "1111")
        await dns.backend.apply(zone="omani.works.", changes=(Change(ZONE, "DS", 1, (wrong,)),))
        a = await until(daemon, Allocation.STATE_DEGRADED, within=60)
        assert [c.reason for c in a.conditions if c.type == "Signed"] == ["Bogus"]
        await dns.backend.apply(zone="omani.works.", changes=(Change(ZONE, "DS", 1, ds.records),))
        await until(daemon, Allocation.STATE_ACTIVE, within=60)
        assert (await events(daemon))[-2:] == ["degraded", "recovered"]


@on_one_database
async def test_a_warm_reservation_has_a_zone_that_no_parent_points_to(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        token = (await reserve(daemon, warm=True)).reservation_token
        await eventually(lambda: _has_zone(daemon), within=60)
        parent = await dns.backend.get_zone(zone="omani.works.")
        assert parent is not None
        assert parent.find(ZONE, "NS") is None
        await provisioner(daemon).CommitAllocation(commitment(token))
        await until(daemon, Allocation.STATE_ACTIVE)
        assert (await dns.resolver.resolve(f"console.{FQDN}", "A")).records == ("127.7.0.1",)
        other = f"{NAME[:-7]}other"
        await reserve(daemon, "other", warm=True, ttl=Duration(nanos=300_000_000))
        await eventually(lambda: _is_absent(daemon, other), within=60)
        assert await dns.backend.get_zone(zone="other.omani.works.") is None


async def _has_zone(daemon: RunningDaemon) -> bool:
    a = await get(daemon)
    return a.zone == f"zones/{FQDN}" and a.state == Allocation.STATE_RESERVED


async def _is_absent(daemon: RunningDaemon, name: str) -> bool:
    return await reason_of(get(daemon, name)) == "ALLOCATION_NOT_FOUND"


@on_one_database
async def test_a_name_at_rest_that_still_resolves_or_is_certified_rests_once_more(start: Start, dns: Dns) -> None:
    month = Pool()
    month.MergeFrom(DEMO)
    month.quarantine.FromSeconds(30 * 86400)
    async with serving(FakeSearch()) as logs, start(
        pool=month, drift_interval=0.2, certificate_logs_url=logs.url
    ) as daemon:  # fmt: skip
        await made_active(daemon)
        await release(daemon)
        first = await until(daemon, Allocation.STATE_QUARANTINED)
        stray = Change(ZONE, "A", 60, ("127.7.9.9",))
        await dns.backend.apply(zone="omani.works.", changes=(stray,))
        await _bring_near_its_end(daemon)
        await eventually(lambda: _rests_until(daemon, first.available_time.seconds), within=60)
        assert (await events(daemon))[-2:] == ["quarantined", "quarantined"]
        assert logs.seen == [], "what resolves is in use, whatever is certified"
        await dns.backend.apply(zone="omani.works.", changes=(Change(ZONE, "A"),))
        logs.issued = {f"console.{FQDN}": datetime.now(UTC) + timedelta(days=40)}
        await _bring_near_its_end(daemon)
        await eventually(lambda: _rests_until(daemon, first.available_time.seconds), within=60)
        assert logs.seen[-1].query["domain"] == FQDN


async def _bring_near_its_end(daemon: RunningDaemon) -> None:
    """All but half a day is over, and nobody has looked yet."""

    async def step(tx: object) -> None:
        a = await tx.lock("omani.works", "omantel")  # type: ignore[attr-defined]
        near = datetime.now(UTC) + timedelta(hours=12)
        await tx.progress(a, replace(a, available_at=near, looked_at=None, extended=False))  # type: ignore[attr-defined]

    await daemon.daemon.work.again(step)


async def _rests_until(daemon: RunningDaemon, before: int) -> bool:
    return (await get(daemon)).available_time.seconds > before - 86400


@on_one_database
async def test_a_name_is_taken_from_its_owner_only_after_its_time_confirmed_and_unheard_of(
    start: Start, dns: Dns
) -> None:
    def wish(**fields: object) -> ForceReleaseAllocationRequest:
        return ForceReleaseAllocationRequest(
            **{"name": NAME, "reason": "abandoned", "confirm_fqdn": FQDN, "grace_confirmed": True, **fields}
        )

    async with start() as daemon:
        admin = daemon.admin(AllocationServiceStub)

        async def told(**fields: object) -> str:
            return await reason_of(admin.ForceReleaseAllocation(wish(**fields)))

        assert await told() == "ALLOCATION_NOT_FOUND"
        await made_active(daemon)
        assert await told() == "GRACE_NOT_ELAPSED"
        assert await told(grace_confirmed=False) == "CONFIRMATION_MISSING"
        assert await told(confirm_fqdn="other.omani.works") == "FQDN_MISMATCH"
        assert await told(reason=" ") == "REASON_MISSING"
        assert await reason_of(provisioner(daemon).ForceReleaseAllocation(wish())) == "CALL_DENIED"
        await _reserved_long_ago(daemon)
        assert await told() == "NAME_STILL_RESOLVES"
        gone = (Change(ZONE, "A"), *(Change(f"{host}.{ZONE}", "A") for host in ("console", "api", "gitea", "harbor")))
        await dns.backend.apply(zone=ZONE, changes=gone)
        assert await told(validate_only=True) == "OK"
        dns.kill()
        assert await told() == "BACKEND_UNAVAILABLE", "nobody says that it does not resolve"
        dns.start()
        assert await told() == "OK"
        assert await told() == "OK", "a repeat changes nothing"
        await until(daemon, Allocation.STATE_QUARANTINED, within=60)


async def _reserved_long_ago(daemon: RunningDaemon) -> None:
    async def step(tx: object) -> None:
        a = await tx.lock("omani.works", "omantel")  # type: ignore[attr-defined]
        await tx.progress(a, replace(a, reserved_at=a.reserved_at - timedelta(hours=721)))  # type: ignore[attr-defined]

    await daemon.daemon.work.again(step)


@on_one_database
async def test_every_zone_says_who_may_issue_certificates_and_that_it_takes_no_mail(start: Start, dns: Dns) -> None:
    strict = Pool()
    strict.MergeFrom(DEMO)
    strict.policy.issuers.append("ca.example")
    strict.policy.account_uri = "https://ca.example/acct/1"
    async with start(pool=strict) as daemon:
        await made_active(daemon)
        zone = await dns.backend.get_zone(zone=ZONE)
        assert zone is not None
        said = {(r.name, r.type): r.records for r in zone.record_sets}
        assert said[ZONE, "CAA"] == ('0 issue "ca.example; accounturi=https://ca.example/acct/1"',)
        assert said[ZONE, "MX"] == ("0 .",)
        parent = await dns.backend.get_zone(zone="omani.works.")
        assert parent is not None
        assert parent.revision >= 1, "each change of the parent has its number"

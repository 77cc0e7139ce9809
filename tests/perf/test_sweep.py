"""A drift sweep: every zone's backend and servers against the wish, beside the bare reads of the same zones."""

import asyncio
import faulthandler
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import dns.dnssec
import dns.rdata
import httpx
import pytest
from catalyst.pooldomain.v1.resources_pb2 import Pool, PoolTtls
from catalyst.pooldomain.v1.service_pb2 import CreatePoolRequest
from catalyst.pooldomain.v1.service_pb2_grpc import PoolServiceStub
from catalyst_dns_powerdns.zones import account, zone_id
from catalyst_mesh import Daemon
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.domain import allocations, zones
from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_pool_domain_manager.workers.drift import AT_ONCE, LEASE, DriftSweep
from catalyst_sdk.dns import ZoneState
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.powerdns import API_KEY
from catalyst_testkit.servers import NatsServer
from google.protobuf.duration_pb2 import Duration

from services.pool_domain_manager.tests.on_powerdns import OnPowerDns

from .harness import Goal, Round, Row, batch, compare, measured
from .table import Table

FLEETS = (1_000, 10_000)
"""The specification's goal is for the first. Of the second one pass is measured that is like all but the first after a start,
which reads every zone: what that one found is planted, as are the zones; and the plain client reads every tenth of them."""
DOMAIN = "omani.works"
SECOND = Duration(seconds=1)
LONGEST = 10
"""Seconds for one answer of the server; a pool of 10,000 cuts is a long one."""
AT_A_TIME = 500
"""Names in one transaction."""
Sqlite = tuple[object, ...]


@measured
@pytest.mark.parametrize("count", FLEETS)
async def test_a_sweep_over_all_zones(
    table: Table, home: Path, nats: NatsServer, pool_on_powerdns: OnPowerDns, count: int
) -> None:
    faulthandler.cancel_dump_traceback_later()  # on a busy machine 10,000 zones take longer than any test may
    dns = pool_on_powerdns
    settings = dns.settings()
    patient = {k: {**v, "try_seconds": LONGEST} for k, v in settings["plugins"].items()}
    fields = {"nats_url": nats.url, "sweep_interval": 60.0, "least_ttl": 1, **settings, "plugins": patient}
    swept: list[DriftSweep] = []

    async def composed(settings: PdmSettings) -> Daemon:
        """The daemon, whose sweep is ours to begin."""
        daemon = await compose(settings)
        swept.extend(one for one in daemon.workers if isinstance(one, DriftSweep))
        daemon.workers = [one for one in daemon.workers if not isinstance(one, DriftSweep)]
        return daemon

    async with running(composed, PdmSettings, home, **fields) as daemon:
        state, names = await peopled(daemon, dns, count)
        sweep = swept[0]
        sweep.leases.ttl = timedelta(hours=1)  # there is no other replica, and a busy machine is to lose no round

        async def ours() -> Round:
            made = await batch(lambda: sweep.leases.attempt(LEASE, sweep.sweep), len(names))
            assert sweep.passes, "the only replica has the lease"
            assert len(sweep.whole) == len(names), "all were looked at"
            async with daemon.daemon.work.reading() as tx:
                assert await tx.drifts_by_kind() == {}, "all is as wished"
            return made

        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=0)
        patience = httpx.Timeout(60, pool=None)  # the last of many waits its turn for longer than any answer may take
        async with httpx.AsyncClient(
            headers={"X-API-Key": API_KEY}, trust_env=False, timeout=patience, limits=limits
        ) as plain:

            async def read(name: str) -> None:
                (await plain.get(f"{dns.powerdns.url}/zones/{zone_id(name)}")).raise_for_status()

            some = names[:: count // FLEETS[0]]

            async def bare() -> Round:
                async def all_of_them() -> None:
                    await asyncio.gather(*(read(name) for name in some))

                return await batch(all_of_them, len(some))

            goal = Goal("p50", 1.3, "as many zone reads by a plain client")
            if count == FLEETS[0]:
                for readings, which in ((sweep.readings, "zones"), (1, "zones, each read in whole")):
                    sweep.readings = readings
                    table.add(await compare(f"PDM: drift sweep over {count:,} {which}", goal, ours=ours, bare=bare))
            else:
                async for subjects in sweep.fleet.children():
                    for s in subjects:
                        sweep.remember(s, replace(state, name=f"{s.domain}."))
                words = f"PDM: drift sweep over {count:,} zones (a pass after the first)"
                table.add(Row(words, goal, [await ours()], [await bare()]))


async def peopled(daemon: RunningDaemon, dns: OnPowerDns, count: int) -> tuple[ZoneState, list[str]]:
    """A pool whose names are all as they were wished, put there without their reconciler: the first zone is made, and the
    server's database is given the others after its likeness, since to make 10,000 takes longer than anybody waits. The first
    one's state, and the names of all."""
    wish = Pool(
        kinds=[Pool.KIND_SOVEREIGN], zone=f"zones/{DOMAIN}", backend=dns.pool_backend, allow_private_targets=True,
        ttls=PoolTtls(ns=SECOND, ds=SECOND, record=SECOND, negative=SECOND),
    )  # fmt: skip
    await daemon.admin(PoolServiceStub).CreatePool(CreatePoolRequest(pool_id=DOMAIN, pool=wish))
    work, backend = daemon.daemon.work, dns.backend
    async with work.reading() as tx:
        pool, now = await tx.pool(DOMAIN), tx.now
    parent = await backend.get_zone(zone=pool.zone)
    assert parent is not None
    ns = parent.find(pool.zone, "NS")
    assert ns is not None
    reserve = allocations.Reserve(DOMAIN, "", "", "organizations/perf", "perf", "perf", pool.reservation_ttl, "")
    one = allocations.reserve(None, reserve, now).state
    held = [_active(one, f"n{n:05}") for n in range(count)]
    state = await backend.create_zone(spec=zones.spec(held[0], pool, ns.records))
    await backend.apply(zone=pool.zone, changes=zones.delegation(held[0], pool, state, ns.records))
    planted(dns.powerdns.home / "pdns.sqlite3", held, state)
    for start in range(0, count, AT_A_TIME):
        async with work.transaction() as tx:
            for a in held[start : start + AT_A_TIME]:
                await tx.save(a)
    await eventually(lambda: _serves(dns, held[-1].zone), within=60, what="the last zone is served")
    return state, [a.zone for a in held]


def planted(database: Path, held: list[Allocation], state: ZoneState) -> None:
    """Zones and cuts of all after the likeness of the first, as the server itself would have written them; with its key, so that
    each has its own DS."""
    first, key = held[0], dns.rdata.from_text("IN", "DNSKEY", state.keys[0].dnskey)
    with closing(sqlite3.connect(database, timeout=60)) as sql, sql:
        (number,) = sql.execute("SELECT id FROM domains WHERE name = ?", (first.fqdn,)).fetchone()
        (above,) = sql.execute("SELECT id FROM domains WHERE name = ?", (DOMAIN,)).fetchone()
        sets = "SELECT name, type, content, ttl, prio, ordername, auth FROM records WHERE domain_id = ?"
        own = sql.execute(sets, (number,)).fetchall()
        cuts = sql.execute(f"{sets} AND name = ?", (above, first.fqdn)).fetchall()
        meta = sql.execute("SELECT kind, content FROM domainmetadata WHERE domain_id = ?", (number,)).fetchall()
        keys = sql.execute(
            "SELECT flags, active, published, content FROM cryptokeys WHERE domain_id = ?", (number,)
        ).fetchall()
        for n, a in enumerate(held[1:], start=above + number):
            ds = str(dns.dnssec.make_ds(a.zone, key, "SHA256"))
            sql.execute(
                "INSERT INTO domains (id, name, type, account) VALUES (?, ?, 'NATIVE', ?)",
                (n, a.fqdn, account(a.mark, signed=True)),
            )
            rows = [(n, *_like(row, first, a, ds)) for row in own] + [
                (above, *_like(row, first, a, ds)) for row in cuts
            ]
            sql.executemany(
                "INSERT INTO records (domain_id, name, type, content, ttl, prio, ordername, auth) VALUES (?,?,?,?,?,?,?,?)",
                rows,
            )
            sql.executemany(
                "INSERT INTO domainmetadata (domain_id, kind, content) VALUES (?,?,?)", [(n, *row) for row in meta]
            )
            sql.executemany(
                "INSERT INTO cryptokeys (domain_id, flags, active, published, content) VALUES (?,?,?,?,?)",
                [(n, *row) for row in keys],
            )


def _like(row: Sqlite, first: Allocation, a: Allocation, ds: str) -> Sqlite:
    """A record of the first zone as another one has it."""
    name, kind, content, *rest, order, auth = row
    name = str(name).replace(first.fqdn, a.fqdn)
    content = ds if kind == "DS" else str(content).replace(first.mark, a.mark).replace(first.fqdn, a.fqdn)
    hashed = order and dns.dnssec.nsec3_hash(name, None, 0, "SHA1").lower()
    return name, kind, content, *rest, hashed, auth


def _active(one: Allocation, label: str) -> Allocation:
    return replace(
        one, label=label, uid=str(uuid4()), state=State.ACTIVE, targets=(("default", "127.7.0.1"),), generation=1,
        observed_generation=1, step="c6", zone_told="signed", zone_version=2, committed_at=one.reserved_at,
        not_before=one.reserved_at.replace(year=one.reserved_at.year + 1),
    )  # fmt: skip


async def _serves(dns: OnPowerDns, zone: str) -> bool:
    return bool((await dns.powerdns.ask(zone, "SOA")).answer)

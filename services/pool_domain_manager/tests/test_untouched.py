"""Zones that nobody has touched since they were whole cost a sweep no reading; whoever touches one is seen in the next pass."""

import re
from dataclasses import replace

import httpx
import pytest
from catalyst.pooldomain.v1.resources_pb2 import Drift
from catalyst_pool_domain_manager.workers.drift import LEASE, READINGS, DriftSweep
from catalyst_sdk.dns import Change
from catalyst_testkit.daemons import RunningDaemon

from .calls import FQDN, ZONE, made_active
from .conftest import Start
from .on_powerdns import OnPowerDns
from .test_drift import seen

LABELS = ("omantel", "other")


async def sweep(daemon: RunningDaemon) -> float:
    """One pass as in a fleet so large that zones take turns; how often a zone was read in it."""
    (one,) = (worker for worker in daemon.daemon.workers if isinstance(worker, DriftSweep))
    one.questions = 1
    before = await _readings(daemon)
    await one.leases.attempt(LEASE, one.sweep)
    return await _readings(daemon) - before


async def _readings(daemon: RunningDaemon) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        told = (await client.get(f"{daemon.side}/metrics")).text
    found = re.search(
        r'catalyst_plugin_calls_total\{error_class="ok",operation="get_zone",.*dns_powerdns"\} (\S+)', told
    )
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize(("dns", "database"), [("powerdns", "sqlite")], indirect=True)
async def test_a_zone_is_read_when_it_was_touched_and_now_and_then(start: Start, dns: OnPowerDns) -> None:
    async with start(drift_interval=3600, sweep_interval=3600) as daemon:
        for label in LABELS:
            await made_active(daemon, label)
        passes = [await sweep(daemon) for _ in range(READINGS + 1)]
        assert passes[0] == 1 + len(LABELS), "the pool's zone, and each name's"
        assert min(passes) == 1, "the pool's zone alone"
        assert READINGS + len(LABELS) <= sum(passes[1:]) <= READINGS + 3 * len(LABELS), "each has had its turn"
        assert await seen(daemon, name=f"zones/{FQDN}") == []
        spoiled = Change(f"api.{ZONE}", "A", 1, ("203.0.113.9",))
        held = await dns.backend.get_zone(zone=ZONE)
        assert held is not None
        good = held.find(spoiled.name, "A")
        assert good is not None
        await dns.backend.apply(zone=ZONE, changes=(spoiled,))
        await sweep(daemon)
        assert [d.kind for d in await seen(daemon, name=f"zones/{FQDN}")] == [Drift.KIND_CHANGED]
        await dns.backend.apply(zone=ZONE, changes=(replace(spoiled, records=good.records),))
        await sweep(daemon)
        await dns.backend.apply(zone="omani.works.", changes=(Change(ZONE, "DS"),))
        await sweep(daemon)
        assert [d.kind for d in await seen(daemon, name=f"zones/{FQDN}")] == [Drift.KIND_DS_MISMATCH]

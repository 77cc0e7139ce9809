"""Scenario 8: a domain with mail and DS moves from its old host to our servers, and nobody who writes a letter notices."""

import asyncio
from pathlib import Path

from catalyst.pooldomain.v1.resources_pb2 import Delegation
from catalyst_testkit.servers import NatsServer

from .conftest import Dns
from .flip_bench import (
    DOMAIN,
    HOSTS,
    OLD_HOSTS,
    begin,
    flipped,
    planned,
    prepared,
    until,
    watched,
    world,
)
from .zone_calls import ended


async def test_scenario_8_mail_is_answered_alike_before_during_and_after_a_flip(
    home: Path, dns: Dns, own_nats: NatsServer, database: str
) -> None:
    async with world(home, dns) as it, begin(it, home, own_nats, database) as daemon:
        await prepared(daemon, it)
        async with watched(it) as samples:
            plan = await planned(daemon, it)
            assert [f.rule for f in plan.safety] == ["dnssec"]
            done = await ended(daemon, await flipped(daemon, plan))
            assert done.HasField("response"), done.error
            cut = await until(daemon, Delegation.STATE_DELEGATED)
            assert (set(it.fake.domains[DOMAIN].ns), len(it.fake.domains[DOMAIN].ds)) == (set(HOSTS), 1)
            assert set(cut.snapshot.records.ns) == set(OLD_HOSTS)
            after = await it.resolver.resolve(f"mail.{DOMAIN}.", "A")
            assert (after.secure, after.records) == (True, ("192.0.2.25",)), after.why
            await asyncio.sleep(0)
        assert samples.wrong == []
        assert samples.taken > 20

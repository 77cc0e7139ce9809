"""Three replicas on PostgreSQL, all alive, asked by turns: what the world is told from the root while they work."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Delegation
from catalyst_testkit import eventually
from catalyst_testkit.processes import Nursery, Replicas, nursery
from catalyst_testkit.servers import NatsServer

from .calls import FQDN, NAME, until
from .conftest import LONG, SERVERS, Dns
from .deaths import Line, Process
from .flip_bench import CUT, DOMAIN, HOSTS, OLD_HOSTS, flipped, planned, prepared, rolled, watched, world
from .flip_bench import until as until_cut
from .test_process_deaths import (
    KEEPS_ITS_OWN_KEYS,
    demand_nothing_left,
    has_one_key,
    make,
    move,
    release,
    replicas_of,
    roll,
)
from .test_sampled_life import ELSEWHERES, HOMES, sampled

ON_POSTGRESQL = pytest.mark.parametrize(
    ("dns", "database"), [(kind, "postgresql") for kind in ("embedded", *(SERVERS if LONG else ()))], indirect=True
)


@pytest.fixture(scope="module")
def born() -> Iterator[Nursery]:
    with nursery(
        "catalyst_pool_domain_manager.app", "catalyst_registrar_ovh.plugin", "catalyst_dns_embedded.plugin"
    ) as it:
        yield it


@asynccontextmanager
async def alive(replicas: Replicas) -> AsyncIterator[Iterator[Process]]:
    """All of them serve; each call goes to the next one."""
    for replica in replicas.all:
        if replica.code is not None:
            replica.start()
    for replica in replicas.all:
        await replica.serves()
    them = [Process(replica, replicas.issuer) for replica in replicas.all]
    try:
        yield cycle(them)
    finally:
        for one in them:
            await one.close()


@ON_POSTGRESQL
async def test_scenario_6_no_answer_is_lame_or_bogus_while_three_replicas_make_move_and_release_a_name(
    home: Path, dns: Dns, clean_nats: NatsServer, database: str, born: Nursery
) -> None:
    is_exchanged = LONG and dns.pool_backend != KEEPS_ITS_OWN_KEYS
    async with replicas_of(3, born, home, dns, clean_nats, database) as them:
        async with alive(them) as turn, sampled(dns.resolver) as samples:
            await make(next(turn))
            await until(next(turn), Allocation.STATE_ACTIVE, within=60)
            await move(next(turn))
            await until(next(turn), Allocation.STATE_ACTIVE, generation=2, within=60)
            if is_exchanged:
                await roll(next(turn))
                looking = next(turn)
                await eventually(lambda: has_one_key(looking), within=60, what="the old key is gone")
            await release(next(turn))
            await until(next(turn), Allocation.STATE_QUARANTINED, within=60)
        assert samples.wrong == []
        assert {HOMES, ELSEWHERES, ()} <= samples.seen, "made, moved, gone"
        line = Line(them, database)
        told = ["reserved", "committed", "activated", "retargeted", "activated", "withdrawn", "quarantined"]
        assert await line.told(NAME) == told, "each once, whoever worked"
        assert (await line.told(f"zones/{FQDN}")).count("key_rolled") == is_exchanged
    await demand_nothing_left(dns)


@ON_POSTGRESQL
async def test_scenario_8_mail_is_answered_alike_while_three_replicas_move_a_domain_and_take_it_back(
    home: Path, dns: Dns, clean_nats: NatsServer, database: str, born: Nursery
) -> None:
    async with world(home, dns) as it:
        settings = it.settings(nats_url=clean_nats.url, database_url=database)
        them = Replicas(born, "catalyst_pool_domain_manager", "CATALYST_PDM_", home, settings)
        try:
            await them.start(3)
            async with alive(them) as turn:
                await prepared(next(turn), it)
                before = it.fake.domains[DOMAIN].ds
                async with watched(it) as samples:
                    plan = await planned(next(turn), it)
                    await flipped(next(turn), plan)
                    await until_cut(next(turn), Delegation.STATE_DELEGATED)
                    assert (it.fake.writes, set(it.fake.domains[DOMAIN].ns)) == (3, set(HOSTS))
                    await rolled(next(turn))
                    await until_cut(next(turn), Delegation.STATE_ROLLED_BACK)
                assert (it.fake.domains[DOMAIN].ns, it.fake.domains[DOMAIN].ds) == (list(OLD_HOSTS), before)
            assert samples.wrong == []
            assert samples.taken > 20
            assert await Line(them, database).told(CUT) == ["planned", "applied", "confirmed", "rolled_back"]
        finally:
            await them.close()

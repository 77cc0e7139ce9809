"""Real deaths: a process that moves a domain ends by SIGKILL at a point of the move, and another replica goes on with it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Delegation
from catalyst_mesh.failpoints import VARIABLE, Failpoints
from catalyst_pool_domain_manager.workers.flips import Flipping
from catalyst_pool_domain_manager.workers.moving import Moving
from catalyst_pool_domain_manager.workers.returns import Returning
from catalyst_testkit.processes import Nursery, Replicas, nursery
from catalyst_testkit.servers import NatsServer

from .conftest import Dns, some
from .deaths import Line, Process
from .flip_bench import CUT, DOMAIN, HOSTS, OLD_HOSTS, flipped, planned, prepared, rolled, until, watched, world
from .test_scenario_8 import BACK, STEPS

pytestmark = pytest.mark.either_database
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
CHANGES = {"insecure", "flip", "secure", "unsecure", "restore", "rekey"}
"""Steps that ask the registrar for something."""


@pytest.fixture(scope="module")
def born() -> Iterator[Nursery]:
    with nursery(
        "catalyst_pool_domain_manager.app", "catalyst_registrar_ovh.plugin", "catalyst_dns_embedded.plugin"
    ) as it:
        yield it


@pytest.mark.parametrize(("flow", "steps_of"), [("flip", Flipping), ("back", Returning)])
def test_every_step_of_a_move_and_of_its_way_back_can_be_armed(
    flow: str, steps_of: type[Flipping] | type[Returning]
) -> None:
    tools: Any = Moving(*(None,) * 6)  # type: ignore[arg-type]  # only the graph is looked at
    further: tuple[Any, ...] = (None,) if steps_of is Flipping else ()  # who looks out while a move is watched
    steps = [step.name for step in steps_of(tools, *further).kind.graph({"unknown": True})]
    assert len(steps) >= 9
    assert Failpoints.load({VARIABLE: ";".join(f"pdm.{flow}.{step}.before=kill" for step in steps)})


def points(flow: str, steps: Sequence[str]) -> list[str]:
    """Where the process may die, in the order in which it comes there; a few of them in a short run."""
    found = []
    for step in steps:
        within = [f"pdm.{flow}.apply.{side}" for side in ("before", "after")] if step in CHANGES else []
        found += [f"pdm.{flow}.{step}.before", *within, f"pdm.{flow}.{step}.after"]
    return some(found, 3)


async def test_scenario_8_processes_that_are_killed_in_a_move_and_in_its_way_back_leave_it_to_the_next_one(
    home: Path, dns: Dns, clean_nats: NatsServer, database: str, born: Nursery
) -> None:
    async with world(home, dns) as it:
        settings = it.settings(nats_url=clean_nats.url, database_url=database)
        replicas = Replicas(born, "catalyst_pool_domain_manager", "CATALYST_PDM_", home, settings)
        try:
            await replicas.start(2)
            await prepared(Process(replicas.all[0], replicas.issuer), it)
            for replica in replicas.all:
                await replica.kill()
            line, before = Line(replicas, database), it.fake.domains[DOMAIN].ds
            async with watched(it) as samples:
                there = points("flip", STEPS)

                async def move(daemon: Process) -> None:
                    await flipped(daemon, await planned(daemon, it))

                alive = await line.lives_through(there, move)
                await until(alive, Delegation.STATE_DELEGATED)
                assert (it.fake.writes, set(it.fake.domains[DOMAIN].ns)) == (3, set(HOSTS))
                await line.rest(alive)
                back = points("back", BACK)
                alive = await line.lives_through(back, rolled)
                await until(alive, Delegation.STATE_ROLLED_BACK)
                await alive.close()
                assert (it.fake.domains[DOMAIN].ns, it.fake.domains[DOMAIN].ds) == (list(OLD_HOSTS), before)
            assert line.deaths == len(there) + len(back)
            assert samples.wrong == [], "no letter was told a wrong place"
            assert await line.told(CUT) == ["planned", "applied", "confirmed", "rolled_back"]
        finally:
            await replicas.close()

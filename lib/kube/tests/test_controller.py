"""A controller over an API server in memory: what it does, what it tells, and what it does when things break."""

import asyncio
import os
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from catalyst_kube.cluster import Object, spoken
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Controller, Seen, Unacceptable
from catalyst_kube.daemons import Owned, renewed
from catalyst_testkit import eventually

from .memory import ClusterInMemory, reconciling


class World:
    """What a reconciler makes: it keeps the cooldown of each runbook."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.hands: set[str] = set()
        self.looks: list[str] = []
        self.bug: Exception | None = None
        self.stays: Exception | None = None
        self.restless = False
        self.again: timedelta | None = None
        self.slow: asyncio.Event | None = None

    async def reconcile(self, one: Object) -> Seen:
        name = one["metadata"]["name"]
        assert name not in self.hands, "in two hands at once"
        self.hands.add(name)
        try:
            self.looks.append(name)
            if self.slow:
                await self.slow.wait()
            await asyncio.sleep(0)
            if self.bug:
                bug = self.bug
                if not isinstance(bug, Unacceptable):
                    self.bug = None
                raise bug
            self.made[name] = one["spec"]["cooldown"]
            if self.restless:
                count, soon = len(self.looks), timedelta(milliseconds=1)
                return Seen((Observed("Ready", True, "Made"),), {"fireCount": count}, soon, frozenset({"fireCount"}))
            return Seen((Observed("Ready", True, "Made"),), {"fireCount": 0}, self.again)
        finally:
            self.hands.discard(name)

    async def release(self, one: Object) -> None:
        if self.stays:
            raise self.stays
        self.made.pop(one["metadata"]["name"], None)


def controlling(cluster: ClusterInMemory, world: World) -> AbstractAsyncContextManager[list[str]]:
    return reconciling(cluster, Owned(cluster.kind, world))


@pytest.fixture
def cluster() -> ClusterInMemory:
    return ClusterInMemory()


async def test_what_is_wished_is_made_and_told(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("before")
    async with controlling(cluster, world):
        await eventually(lambda: cluster.accepted("before") == "True", within=60)
        cluster.put("after", cooldown="7m")
        await eventually(lambda: world.made == {"before": "15m", "after": "7m"}, within=60)
        cluster.put("after", cooldown="9m")
        await eventually(lambda: world.made["after"] == "9m", within=60)
        await eventually(lambda: cluster.status("after").get("observedGeneration") == 2, within=60)


async def test_a_settled_object_costs_two_writes_and_then_none(cluster: ClusterInMemory) -> None:
    world = World()
    for n in range(20):
        cluster.put(f"r{n}")
    async with controlling(cluster, world):
        await eventually(lambda: all(cluster.accepted(f"r{n}") == "True" for n in range(20)), within=60)
        looked = len(world.looks)
        cluster.put("one-more")
        await eventually(lambda: cluster.accepted("one-more") == "True", within=60)
    assert len(cluster.writes) == 2 * 21
    assert len(world.looks) >= looked


async def test_a_wrong_object_is_refused_in_its_status_and_nothing_is_made(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("wrong", cooldwn="1m")
    async with controlling(cluster, world):
        await eventually(lambda: cluster.accepted("wrong") == "False", within=60)
        (told,) = cluster.status("wrong")["conditions"]
        assert told["reason"] == "Invalid"
        assert "spec.cooldwn: there is no such field; cooldown is meant" in told["message"]
        assert world.looks == []
        assert "finalizers" not in cluster.one("wrong")["metadata"]


async def test_what_its_reconciler_cannot_have_is_told_with_the_reason(cluster: ClusterInMemory) -> None:
    world = World()
    world.bug = Unacceptable("ApplicationUnknown", "there is no application shop")
    cluster.put("refused")
    async with controlling(cluster, world) as wrong:
        await eventually(lambda: cluster.accepted("refused") == "False", within=60)
        assert cluster.status("refused")["conditions"][0]["reason"] == "ApplicationUnknown"
        world.bug = None
        await eventually(lambda: cluster.accepted("refused") == "True", within=60)
        assert wrong == []


async def test_who_goes_is_released_before_the_finalizer_and_then_gone(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("going")
    async with controlling(cluster, world):
        await eventually(lambda: "going" in world.made, within=60)
        cluster.delete("going")
        await eventually(lambda: not cluster.has("going"), within=60)
        assert world.made == {}


async def test_who_went_while_nobody_looked_is_released_too(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("going")
    async with controlling(cluster, world):
        await eventually(lambda: "going" in world.made, within=60)
    cluster.delete("going")
    assert cluster.has("going")
    async with controlling(cluster, world):
        await eventually(lambda: not cluster.has("going"), within=60)
    assert world.made == {}


async def test_what_breaks_is_tried_again(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.broken = 7
    cluster.put("one")
    async with controlling(cluster, world) as wrong:
        await eventually(lambda: cluster.accepted("one") == "True", within=60)
        cluster.broken, cluster.conflicts = 3, 3
        cluster.put("two")
        await eventually(lambda: cluster.accepted("two") == "True", within=60)
        assert wrong == [], "an API server that is away is no fault of ours"


async def test_a_bug_is_told_and_holds_up_nobody(cluster: ClusterInMemory) -> None:
    world = World()
    world.bug = ZeroDivisionError("a bug")
    cluster.put("one")
    cluster.put("two")
    async with controlling(cluster, world) as wrong:
        await eventually(lambda: world.made.keys() == {"one", "two"}, within=60)
        assert len(wrong) == 1
        assert "a bug" in wrong[0]


async def test_a_watch_that_was_forgotten_begins_anew_and_nothing_is_lost(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("one")
    async with controlling(cluster, world):
        await eventually(lambda: cluster.accepted("one") == "True", within=60)
        cluster.forgotten = 10_000
        cluster.put("two")
        await eventually(lambda: "two" in world.made, within=60)
        cluster.forgotten = 0
        cluster.put("three")
        await eventually(lambda: "three" in world.made, within=60)


async def test_a_change_that_comes_while_it_is_in_hand_is_looked_at_afterwards(cluster: ClusterInMemory) -> None:
    world = World()
    world.slow = asyncio.Event()
    cluster.put("one")
    async with controlling(cluster, world):
        await eventually(lambda: world.hands == {"one"}, within=60)
        cluster.put("one", cooldown="1m")
        cluster.put("one", cooldown="2m")
        await asyncio.sleep(0)
        world.slow.set()
        await eventually(lambda: world.made.get("one") == "2m", within=60)


async def test_who_lost_the_lease_with_an_object_in_hand_has_it_in_hand_again_with_the_next_one(
    cluster: ClusterInMemory,
) -> None:
    world = World()
    world.slow = asyncio.Event()
    cluster.put("one")
    controller = Controller(cluster.kind, world, cluster, pauses=(0.0, 0.01))  # type: ignore[arg-type]
    losing = asyncio.create_task(controller.run(asyncio.Event()))
    await eventually(lambda: world.hands == {"one"}, within=60)
    losing.cancel()
    await asyncio.gather(losing, return_exceptions=True)
    world.slow = None
    stop = asyncio.Event()
    again = asyncio.create_task(controller.run(stop))
    try:
        await eventually(lambda: cluster.accepted("one") == "True", within=60)
    finally:
        stop.set()
        await again


async def test_the_time_of_a_condition_moves_with_its_status_alone(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("one")
    async with controlling(cluster, world):
        await eventually(lambda: cluster.accepted("one") == "True", within=60)
        first = cluster.status("one")["conditions"][0]["lastTransitionTime"]
        for n in range(3):
            cluster.put("one", cooldown=f"{n + 1}m")
        await eventually(lambda: cluster.status("one").get("observedGeneration") == 4, within=60)
        assert cluster.status("one")["conditions"][0]["lastTransitionTime"] == first


async def test_an_end_that_cannot_be_had_is_told_in_an_event_and_holds_up_nobody(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("going")
    async with controlling(cluster, world) as wrong:
        await eventually(lambda: cluster.accepted("going") == "True", within=60)
        world.stays = Unacceptable("NotEmpty", "something stands in it")
        cluster.delete("going")
        await eventually(lambda: not cluster.has("going"), within=60)
        (note,) = cluster.notes.values()
        assert (note["type"], note["reason"], note["note"]) == ("Warning", "NotEmpty", "something stands in it")
        assert note["regarding"]["uid"] == "uid-going"
        assert wrong == []


async def test_a_refusal_is_told_in_one_event_however_often_it_is_looked_at(cluster: ClusterInMemory) -> None:
    world = World()
    world.bug = Unacceptable("ApplicationUnknown", "there is no application shop")
    cluster.put("refused")
    async with controlling(cluster, world):
        await eventually(lambda: len(world.looks) > 5, within=60)
    assert [note["reason"] for note in cluster.notes.values()] == ["ApplicationUnknown"]
    assert len(cluster.writes) == 2, "a finalizer, and what is said once"


async def test_who_is_refused_later_keeps_what_was_told_of_the_world(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("one")
    async with controlling(cluster, world):
        await eventually(lambda: cluster.accepted("one") == "True", within=60)
        cluster.put("one", cooldown="soon")
        await eventually(lambda: cluster.accepted("one") == "False", within=60)
        assert cluster.condition("one", "Ready") == "True Made"
        told = {each["type"]: each["observedGeneration"] for each in cluster.status("one")["conditions"]}
        assert told == {"Accepted": 2, "Ready": 1}


async def test_what_never_stands_still_is_no_reason_to_write(cluster: ClusterInMemory) -> None:
    world = World()
    world.restless = True
    cluster.put("one")
    async with controlling(cluster, world):
        await eventually(lambda: len(world.looks) > 5, within=60)
        assert len(cluster.writes) == 2, "a finalizer, and the first status"
        cluster.put("one", cooldown="1m")
        await eventually(lambda: cluster.status("one").get("observedGeneration") == 2, within=60)
        assert cluster.status("one")["fireCount"] > 5, "it is written along with what is news"


def test_what_is_not_said_is_not_sent_and_zero_is_said() -> None:
    told = {"phase": "", "count": 0, "ready": False, "regions": [{"code": "fsn", "role": None}], "marks": {}}
    assert spoken(told) == {"count": 0, "ready": False, "regions": [{"code": "fsn"}], "marks": {}}


async def test_other_certificates_of_the_api_server_are_a_reason_to_begin_anew(tmp_path: Path) -> None:
    file, over = tmp_path / "ca.crt", asyncio.Event()
    file.write_text("old")
    os.utime(file, ns=(1, 1))
    looking = asyncio.create_task(renewed(file, asyncio.Event(), over, every=0.01))
    await asyncio.sleep(0)
    assert not over.is_set()
    os.utime(file, ns=(2, 2))
    await asyncio.wait_for(looking, 60)
    assert over.is_set()

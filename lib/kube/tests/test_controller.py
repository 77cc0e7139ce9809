"""A controller over an API server in memory: what it does, what it tells, and what it does when things break."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst_kube import KINDS
from catalyst_kube.cluster import Absent, Conflict, Event, Expired, Object, Unreachable, key_of
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Controller, Key, Seen, Unacceptable
from catalyst_kube.kind import Kind
from catalyst_testkit import eventually

RUNBOOK = KINDS["Runbook"]
FINALIZER = "catalyst.openova.io/test"
SAMPLE = yaml.safe_load(Path("deploy/samples/runbook.yaml").read_text())


class ClusterInMemory:
    """What a controller asks of an API server, without one; the real one is tried in tests/kube."""

    def __init__(self) -> None:
        self.objects: dict[Key, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.broken = 0
        """Answers that will still fail."""
        self.conflicts = 0
        self._version = 0
        self._events: list[tuple[int, Event]] = []
        self._told = asyncio.Event()
        self.watches = 0
        self.forgotten = 0
        """Watches from before this version are answered with 410."""

    def put(self, name: str, **spec: Any) -> None:
        """Somebody else makes or changes an object."""
        key = ("acme", name)
        one = deepcopy(self.objects.get(key)) or deepcopy(SAMPLE) | {"metadata": {"name": name, "namespace": "acme"}}
        one["spec"] |= spec
        one["metadata"]["generation"] = one["metadata"].get("generation", 0) + 1
        self._keep(one, "MODIFIED" if key in self.objects else "ADDED")

    def delete(self, name: str) -> None:
        one = deepcopy(self.objects["acme", name])
        one["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._keep(one, "MODIFIED")

    def status(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.objects["acme", name].get("status", {})
        return found

    def accepted(self, name: str) -> str:
        return next((one["status"] for one in self.status(name).get("conditions", ()) if one["type"] == "Accepted"), "")

    def _keep(self, one: dict[str, Any], type: str) -> None:
        self._version += 1
        one["metadata"]["resourceVersion"] = str(self._version)
        key = key_of(one)
        if one["metadata"].get("deletionTimestamp") and not one["metadata"].get("finalizers"):
            self.objects.pop(key, None)
            type = "DELETED"
        else:
            self.objects[key] = one
        self._events.append((self._version, Event(type, deepcopy(one))))
        self._told.set()
        self._told = asyncio.Event()

    def _maybe_break(self) -> None:
        if self.broken:
            self.broken -= 1
            raise Unreachable("503: broken")

    async def list(self, kind: Kind) -> tuple[Sequence[Object], str]:
        await asyncio.sleep(0)
        self._maybe_break()
        return deepcopy(list(self.objects.values())), str(self._version)

    async def watch(self, kind: Kind, since: str, *, seconds: float) -> AsyncIterator[Event]:
        self.watches += 1
        at = int(since)
        while True:
            self._maybe_break()
            if at < self.forgotten:
                raise Expired("too old")
            for version, event in [each for each in self._events if each[0] > at]:
                at = version
                yield event
            await self._told.wait()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        self._maybe_break()
        if (namespace, name) not in self.objects:
            raise Absent(name)
        return deepcopy(self.objects[namespace, name])

    async def apply_status(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any]) -> Object:
        self._maybe_break()
        self.writes.append(f"status {name}")
        one = deepcopy(self.objects[namespace, name])
        one["status"] = {**one.get("status", {}), **status}
        self._keep(one, "MODIFIED")
        return one

    async def set_finalizers(self, kind: Kind, one: Object, finalizers: Sequence[str]) -> Object:
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("409")
        self.writes.append(f"finalizers {one['metadata']['name']}")
        changed = deepcopy(self.objects[key_of(one)])
        changed["metadata"]["finalizers"] = list(finalizers)
        self._keep(changed, "MODIFIED")
        return changed


class World:
    """What a reconciler makes: it keeps the cooldown of each runbook."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.hands: set[str] = set()
        self.looks: list[str] = []
        self.bug: Exception | None = None
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
            return Seen((Observed("Ready", True, "Made"),), {"fireCount": 0}, self.again)
        finally:
            self.hands.discard(name)

    async def release(self, one: Object) -> None:
        self.made.pop(one["metadata"]["name"], None)


@asynccontextmanager
async def controlling(cluster: ClusterInMemory, world: World) -> AsyncIterator[list[str]]:
    wrong: list[str] = []
    stop = asyncio.Event()
    controller = Controller(
        RUNBOOK,
        world,
        cluster,
        finalizer=FINALIZER,
        workers=3,
        pauses=(0.0, 0.01),  # type: ignore[arg-type]
        wrong=lambda where, error: wrong.append(f"{where}: {error}"),
    )  # fmt: skip - one call
    task = asyncio.create_task(controller.run(stop))
    try:
        yield wrong
    finally:
        stop.set()
        await task


@pytest.fixture
def cluster() -> ClusterInMemory:
    return ClusterInMemory()


async def test_what_is_wished_is_made_and_told(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("before")
    async with controlling(cluster, world):
        await eventually(lambda: cluster.accepted("before") == "True", within=20)
        cluster.put("after", cooldown="7m")
        await eventually(lambda: world.made == {"before": "15m", "after": "7m"}, within=20)
        cluster.put("after", cooldown="9m")
        await eventually(lambda: world.made["after"] == "9m", within=20)
        await eventually(lambda: cluster.status("after").get("observedGeneration") == 2, within=20)


async def test_a_settled_object_costs_two_writes_and_then_none(cluster: ClusterInMemory) -> None:
    world = World()
    for n in range(20):
        cluster.put(f"r{n}")
    async with controlling(cluster, world):
        await eventually(lambda: all(cluster.accepted(f"r{n}") == "True" for n in range(20)), within=20)
        looked = len(world.looks)
        cluster.put("one-more")
        await eventually(lambda: cluster.accepted("one-more") == "True", within=20)
    assert len(cluster.writes) == 2 * 21
    assert len(world.looks) >= looked


async def test_a_wrong_object_is_refused_in_its_status_and_nothing_is_made(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("wrong", cooldwn="1m")
    async with controlling(cluster, world):
        await eventually(lambda: cluster.accepted("wrong") == "False", within=20)
        (told,) = cluster.status("wrong")["conditions"]
        assert told["reason"] == "Invalid"
        assert "spec.cooldwn: there is no such field; cooldown is meant" in told["message"]
        assert world.looks == []
        assert "finalizers" not in cluster.objects["acme", "wrong"]["metadata"]


async def test_what_its_reconciler_cannot_have_is_told_with_the_reason(cluster: ClusterInMemory) -> None:
    world = World()
    world.bug = Unacceptable("ApplicationUnknown", "there is no application shop")
    cluster.put("refused")
    async with controlling(cluster, world) as wrong:
        await eventually(lambda: cluster.accepted("refused") == "False", within=20)
        assert cluster.status("refused")["conditions"][0]["reason"] == "ApplicationUnknown"
        world.bug = None
        await eventually(lambda: cluster.accepted("refused") == "True", within=20)
        assert wrong == []


async def test_who_goes_is_released_before_the_finalizer_and_then_gone(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("going")
    async with controlling(cluster, world):
        await eventually(lambda: "going" in world.made, within=20)
        cluster.delete("going")
        await eventually(lambda: ("acme", "going") not in cluster.objects, within=20)
        assert world.made == {}


async def test_who_went_while_nobody_looked_is_released_too(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("going")
    async with controlling(cluster, world):
        await eventually(lambda: "going" in world.made, within=20)
    cluster.delete("going")
    assert ("acme", "going") in cluster.objects
    async with controlling(cluster, world):
        await eventually(lambda: ("acme", "going") not in cluster.objects, within=20)
    assert world.made == {}


async def test_what_breaks_is_tried_again(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.broken = 7
    cluster.put("one")
    async with controlling(cluster, world) as wrong:
        await eventually(lambda: cluster.accepted("one") == "True", within=20)
        cluster.broken, cluster.conflicts = 3, 3
        cluster.put("two")
        await eventually(lambda: cluster.accepted("two") == "True", within=20)
        assert wrong == [], "an API server that is away is no fault of ours"


async def test_a_bug_is_told_and_holds_up_nobody(cluster: ClusterInMemory) -> None:
    world = World()
    world.bug = ZeroDivisionError("a bug")
    cluster.put("one")
    cluster.put("two")
    async with controlling(cluster, world) as wrong:
        await eventually(lambda: world.made.keys() == {"one", "two"}, within=20)
        assert len(wrong) == 1
        assert wrong[0].endswith("a bug")


async def test_a_watch_that_was_forgotten_begins_anew_and_nothing_is_lost(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("one")
    async with controlling(cluster, world):
        await eventually(lambda: cluster.accepted("one") == "True", within=20)
        cluster.forgotten = 10_000
        cluster.put("two")
        await eventually(lambda: "two" in world.made, within=20)
        cluster.forgotten = 0
        cluster.put("three")
        await eventually(lambda: "three" in world.made, within=20)


async def test_a_change_that_comes_while_it_is_in_hand_is_looked_at_afterwards(cluster: ClusterInMemory) -> None:
    world = World()
    world.slow = asyncio.Event()
    cluster.put("one")
    async with controlling(cluster, world):
        await eventually(lambda: world.hands == {"one"}, within=20)
        cluster.put("one", cooldown="1m")
        cluster.put("one", cooldown="2m")
        await asyncio.sleep(0)
        world.slow.set()
        await eventually(lambda: world.made.get("one") == "2m", within=20)


async def test_the_time_of_a_condition_moves_with_its_status_alone(cluster: ClusterInMemory) -> None:
    world = World()
    cluster.put("one")
    async with controlling(cluster, world):
        await eventually(lambda: cluster.accepted("one") == "True", within=20)
        first = cluster.status("one")["conditions"][0]["lastTransitionTime"]
        for n in range(3):
            cluster.put("one", cooldown=f"{n + 1}m")
        await eventually(lambda: cluster.status("one").get("observedGeneration") == 4, within=20)
        assert cluster.status("one")["conditions"][0]["lastTransitionTime"] == first

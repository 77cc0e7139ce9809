"""An API server in memory, for what controllers ask of one; the real one is tried in tests/kube."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from catalyst_kube import KINDS
from catalyst_kube.cluster import Absent, Conflict, Event, Expired, Object, Unreachable, key_of
from catalyst_kube.controller import Controller, Key
from catalyst_kube.daemons import Owned
from catalyst_kube.kind import Kind, Scope

SAMPLES: Mapping[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted(Path("deploy/samples").glob("*.yaml"))
}
QUICK = (0.0, 0.01)
MOST_WRITES = 3
"""Of an object until it is settled: the finalizer, that its work has begun, and that it is done."""


class ClusterInMemory:
    """Objects of all kinds; whoever writes is one field manager."""

    def __init__(self, kind: str = "Runbook", namespace: str = "acme") -> None:
        self.kind = KINDS[kind]
        """Of which the short forms below speak."""
        self.namespace = namespace if self.kind.scope is Scope.NAMESPACED else ""
        self.objects: dict[tuple[str, Key], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.notes: dict[str, Mapping[str, Any]] = {}
        self.broken = 0
        """Answers that will still fail."""
        self.conflicts = 0
        self.forgotten = 0
        """Watches from before this version are answered with 410."""
        self.watches = 0
        self._version = 0
        self._events: list[tuple[int, str, Event]] = []
        self._told = asyncio.Event()

    def put(self, name: str, **spec: Any) -> None:
        """Somebody else makes or changes an object of `kind`: the sample with another name and other fields."""
        known = self.objects.get((self.kind.name, (self.namespace, name)))
        one = deepcopy(known or SAMPLES[self.kind.name.lower()])
        if known is None:
            where = {"namespace": self.namespace} if self.namespace else {}
            one["metadata"] = {"name": name, "uid": f"uid-{name}", **where}
        one["spec"] = {key: value for key, value in {**one["spec"], **spec}.items() if value is not None}
        one["metadata"]["generation"] = one["metadata"].get("generation", 0) + 1
        self._keep(self.kind, one, "MODIFIED" if known else "ADDED")

    def annotate(self, name: str, **marks: str) -> None:
        """Somebody writes annotations of ours."""
        one = deepcopy(self.objects[self.kind.name, (self.namespace, name)])
        kept = one["metadata"].setdefault("annotations", {})
        kept |= {f"catalyst.openova.io/{key.replace('_', '-')}": value for key, value in marks.items()}
        self._keep(self.kind, one, "MODIFIED")

    def delete(self, name: str) -> None:
        one = deepcopy(self.objects[self.kind.name, (self.namespace, name)])
        one["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._keep(self.kind, one, "MODIFIED")

    def has(self, name: str) -> bool:
        return (self.kind.name, (self.namespace, name)) in self.objects

    def one(self, name: str) -> dict[str, Any]:
        return self.objects[self.kind.name, (self.namespace, name)]

    def status(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.one(name).get("status", {}) if self.has(name) else {}
        return found

    def condition(self, name: str, type: str) -> str:
        """Its status and reason, `False Invalid`; empty where nobody told it."""
        told = (one for one in self.status(name).get("conditions", ()) if one["type"] == type)
        return next((f"{one['status']} {one['reason']}" for one in told), "")

    def written(self, name: str) -> int:
        """How often something of an object was written by the controllers."""
        return sum(each.partition(" ")[2] == name for each in self.writes)

    def accepted(self, name: str) -> str:
        return self.condition(name, "Accepted").partition(" ")[0]

    async def list(self, kind: Kind, namespace: str = "") -> tuple[Sequence[Object], str]:
        await asyncio.sleep(0)
        self._maybe_break()
        found = [one for (name, key), one in self.objects.items() if name == kind.name and namespace in ("", key[0])]
        return deepcopy(found), str(self._version)

    async def watch(self, kind: Kind, since: str, *, seconds: float) -> AsyncIterator[Event]:
        self.watches += 1
        at = int(since)
        while True:
            self._maybe_break()
            if at < self.forgotten:
                raise Expired("too old")
            for version, name, event in [each for each in self._events if each[0] > at]:
                at = version
                if name == kind.name:
                    yield event
            await self._told.wait()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        self._maybe_break()
        if (kind.name, (namespace, name)) not in self.objects:
            raise Absent(name)
        return deepcopy(self.objects[kind.name, (namespace, name)])

    async def apply(self, kind: Kind, namespace: str, name: str, fields: Mapping[str, Any]) -> Object:
        self._maybe_break()
        self.writes.append(f"apply {name}")
        known = self.objects.get((kind.name, (namespace, name)))
        where = {"namespace": namespace} if namespace else {}
        one = deepcopy(known) or {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": name, "uid": f"uid-{name}", **where},
        }  # fmt: skip - a document
        if one.get("spec") != fields["spec"]:
            one["metadata"]["generation"] = one["metadata"].get("generation", 0) + 1
        one["metadata"] |= fields.get("metadata", {})
        self._keep(kind, one | {"spec": fields["spec"]}, "MODIFIED" if known else "ADDED")
        return one

    async def apply_status(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any]) -> Object:
        self._maybe_break()
        self.writes.append(f"status {name}")
        kind.status.model_validate(status)  # what the schema has not would be pruned
        if (kind.name, (namespace, name)) not in self.objects:
            raise Absent(name)
        one = deepcopy(self.objects[kind.name, (namespace, name)])
        one["status"] = dict(status)
        self._keep(kind, one, "MODIFIED")
        return one

    async def set_finalizers(self, kind: Kind, one: Object, finalizers: Sequence[str]) -> Object:
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("409")
        self.writes.append(f"finalizers {one['metadata']['name']}")
        changed = deepcopy(self.objects[kind.name, key_of(one)])
        changed["metadata"]["finalizers"] = list(finalizers)
        self._keep(kind, changed, "MODIFIED")
        return changed

    async def remove(self, kind: Kind, namespace: str, name: str) -> None:
        self._maybe_break()
        self.writes.append(f"remove {name}")
        self.objects.pop((kind.name, (namespace, name)), None)

    async def note(self, event: Mapping[str, Any]) -> None:
        self._maybe_break()
        self.notes.setdefault(event["metadata"]["name"], event)

    def _keep(self, kind: Kind, one: dict[str, Any], type: str) -> None:
        self._version += 1
        one["metadata"]["resourceVersion"] = str(self._version)
        key = key_of(one)
        if one["metadata"].get("deletionTimestamp") and not one["metadata"].get("finalizers"):
            self.objects.pop((kind.name, key), None)
            type = "DELETED"
        else:
            self.objects[kind.name, key] = one
        self._events.append((self._version, kind.name, Event(type, deepcopy(one))))
        self._told.set()
        self._told = asyncio.Event()

    def _maybe_break(self) -> None:
        if self.broken:
            self.broken -= 1
            raise Unreachable("503: broken")


@asynccontextmanager
async def reconciling(cluster: ClusterInMemory, *owned: Owned) -> AsyncIterator[list[str]]:
    """Controllers of these kinds at work; what went wrong with them."""
    wrong: list[str] = []
    stop = asyncio.Event()
    controllers = [
        Controller(
            each.kind,
            each.reconciler,
            cluster,  # type: ignore[arg-type]
            finalizer="catalyst.openova.io/test" if each.is_noted else "",
            workers=3,
            pauses=QUICK,
            wrong=lambda where, error: wrong.append(f"{where}: {error!r}"),
        )
        for each in owned
    ]  # fmt: skip - one call
    tasks = [asyncio.create_task(controller.run(stop)) for controller in controllers]
    try:
        yield wrong
    finally:
        stop.set()
        await asyncio.gather(*tasks)

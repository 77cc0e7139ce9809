"""Controllers as parts of a daemon: under its leases, over its own services.

A daemon that owns a kind reconciles its objects: what somebody wishes by `kubectl apply` passes the same checks and the same
transactions as a call, and the daemon's database stays the truth. What is wished by an object counts once, when it is new;
what is changed elsewhere afterwards is told in the object's conditions and left as it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from catalyst_mesh import Caller, DaemonSettings, Lease, LeaseLost, Leases, LostRace, TokenFile, get_logger
from catalyst_mesh.database import is_outage
from catalyst_mesh.inward import Inward
from catalyst_mesh.telemetry import reconciling
from catalyst_mesh.waits import rest
from catalyst_sdk import Code, Refused
from google.protobuf.message import Message

from .cluster import Cluster, Object, Unreachable, served_at
from .conditions import Observed
from .controller import Controller, Reconciler, Seen, Unacceptable
from .kind import Kind

A = TypeVar("A")
PASSING = frozenset({Code.UNAVAILABLE, Code.ABORTED, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED})
"""Codes of refusals that may not come another time."""
UNDER_WAY = ("RUN_IN_PROGRESS", "RUN_UNDER_WAY")
"""Reasons of refusals that last as long as something goes on."""
WHERE = "catalyst.openova.io/"
"""Finalizers, annotations and field managers of ours begin so."""


@dataclass(frozen=True, slots=True)
class Owned:
    """A kind that a daemon reconciles. Its finalizer is held where the end of an object is to be noted."""

    kind: Kind
    reconciler: Reconciler
    is_noted: bool = True


LOOK = 30.0
"""Seconds between two looks at whether the API server has other certificates."""


class Runs(Protocol):
    """What else works at a cluster beside controllers: until `stop`, at one replica at a time."""

    async def run(self, stop: asyncio.Event) -> None: ...


class Controllers:
    """A worker: what one daemon does at a cluster, each part at one replica at a time.

    owned   the kinds that it reconciles
    also    what else it does there, by the names of leases
    """

    def __init__(
        self,
        service: str,
        settings: DaemonSettings,
        leases: Leases,
        owned: Sequence[Owned],
        also: Callable[[Cluster], Mapping[str, Runs]] = lambda _: {},
    ) -> None:
        self._service = service
        self._settings = settings
        self._leases = leases
        self._owned = owned
        self._also = also
        self._log = get_logger("controllers")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; anew with other certificates of the API server."""
        while not stop.is_set():
            over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(renewed(self._settings.kubernetes_ca_file, stop, over))
                group.create_task(self._run(over))

    async def _run(self, stop: asyncio.Event) -> None:
        settings = self._settings
        async with served_at(settings.kubernetes_url, settings.kubernetes_ca_file) as http:
            cluster = Cluster(http, TokenFile(settings.kubernetes_token_file), f"catalyst-{self._service}")
            parts = {each.kind.plural: self._controller(each, cluster) for each in self._owned} | dict(
                self._also(cluster)
            )
            async with asyncio.TaskGroup() as group:
                for name, part in parts.items():
                    group.create_task(self._leases.keep(f"controller/{name}", stop, _working(part, stop)))

    def _controller(self, owned: Owned, cluster: Cluster) -> Controller:
        finalizer = f"{WHERE}{self._service}" if owned.is_noted else ""
        measured = _Measured(owned.reconciler, owned.kind.name.lower())
        return Controller(owned.kind, measured, cluster, finalizer=finalizer, wrong=self._wrong)

    def _wrong(self, where: str, error: Exception) -> None:
        self._log.error("controller failed", where=where, exc_info=error)


async def renewed(file: Path | None, stop: asyncio.Event, over: asyncio.Event, *, every: float = LOOK) -> None:
    """Set `over` when `file` is another one, or at `stop`."""
    began = _moment_of(file)
    try:
        while not stop.is_set() and _moment_of(file) == began:
            await rest(stop, every)
    finally:
        over.set()


def _moment_of(file: Path | None) -> int | None:
    """When it was written; None where there is none, as in the moment of a swap."""
    with suppress(OSError):
        return file.stat().st_mtime_ns if file else None
    return None


class _Measured:
    """A reconciler whose passes are counted and timed, as those of all background work are."""

    def __init__(self, reconciler: Reconciler, kind: str) -> None:
        self._reconciler = reconciler
        self._kind = kind

    async def reconcile(self, one: Object) -> Seen:
        with reconciling(self._kind):
            return await self._reconciler.reconcile(one)

    async def release(self, one: Object) -> None:
        with reconciling(self._kind):
            await self._reconciler.release(one)


def _working(part: Runs, stop: asyncio.Event) -> Callable[[Lease], Awaitable[None]]:
    async def work(_: Lease) -> None:
        await part.run(stop)

    return work


class Own:
    """Asks the daemon's own services.

    What they refuse is the object's fault (Unacceptable), unless it may be otherwise another time (Unreachable).
    """

    def __init__(self, service: str, metadata: Sequence[tuple[str, str]] = ()) -> None:
        self._inward = Inward(service, metadata)

    async def __call__(
        self, serve: Callable[[Any, Any], Awaitable[A]], request: Message, *, person: Caller | None = None
    ) -> A:
        """What a method answers. Raises Unacceptable, Unreachable."""
        try:
            return await self._inward(serve, request, person=person)
        except Refused as refused:
            if refused.code in PASSING or refused.reason in UNDER_WAY:
                raise Unreachable(refused.sentence) from refused
            raise Unacceptable(camel(refused.reason), _whole(refused)) from refused
        except (LostRace, LeaseLost) as error:
            raise Unreachable("others were faster") from error
        except Exception as error:
            if is_outage(error):
                raise Unreachable("the database does not answer") from error
            raise

    async def find(self, serve: Callable[[Any, Any], Awaitable[A]], request: Message) -> A | None:
        """The same; None where there is no such thing."""
        try:
            return await self(serve, request)
        except Unacceptable as error:
            if isinstance(error.__cause__, Refused) and error.__cause__.code is Code.NOT_FOUND:
                return None
            raise


def camel(reason: str) -> str:
    """`NAME_TAKEN` as conditions say it: `NameTaken`. One that is said so already stays."""
    return "".join(word.capitalize() for word in reason.split("_")) if reason.isupper() else reason


def is_new(one: Object) -> bool:
    """Whether what the object wishes has not counted yet."""
    status: Mapping[str, Any] = one.get("status", {})
    accepted = any(each["type"] == "Accepted" and each["status"] == "True" for each in status.get("conditions", ()))
    return not (accepted and status.get("observedGeneration") == one["metadata"]["generation"])


def mark(one: Object, name: str) -> str:
    """An annotation of ours, `catalyst.openova.io/<name>`; empty where there is none."""
    return str(one["metadata"].get("annotations", {}).get(f"{WHERE}{name}", ""))


def unserved(spec: Mapping[str, Any], fields: Sequence[str]) -> Observed:
    """The condition that says which fields are kept and have no effect."""
    idle = [name for name in fields if spec.get(name)]
    if not idle:
        return Observed("AllServed", True, "AllServed")
    return Observed("AllServed", False, "NotServed", f"kept, without effect: {', '.join(idle)}")


def differing(wished: Mapping[str, Any], held: Mapping[str, Any]) -> Observed:
    """The condition that compares what an object wishes with what is."""
    fields = [name for name, value in wished.items() if held.get(name) != value]
    if not fields:
        return Observed("InSync", True, "AsWished")
    return Observed("InSync", False, "Differs", f"{', '.join(fields)}: changed elsewhere, or cannot be changed")


def passed_on(conditions: Sequence[Any]) -> list[Observed]:
    """Conditions of the contract (catalyst.mesh.v1.Condition) as an object tells them."""
    words = {1: True, 2: False}
    return [
        Observed(one.type, words.get(one.status), camel(one.reason) or "Unknown", one.message) for one in conditions
    ]


BY_OBJECT = "ByObject"
"""Reason of the condition Suspended where the object wished it."""


def is_suspended_by(one: Object) -> bool:
    """Whether the suspension that stands was begun by this object; no other is its to end."""
    told = one.get("status", {}).get("conditions", ())
    return any(each["type"] == "Suspended" and each.get("reason") == BY_OBJECT for each in told)


def suspension(*, stands: bool, ours: bool, why: str = "") -> Observed:
    """The condition that says whether something is suspended, and by whom."""
    if not stands:
        return Observed("Suspended", False, "NotSuspended")
    return Observed("Suspended", True, BY_OBJECT if ours else "ByOthers", why)


def moment(at: Any) -> str:
    """A moment of the contract (Timestamp) as documents have it."""
    return str(at.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ"))


def _whole(refused: Refused) -> str:
    """The sentence, and each field that is wrong."""
    wrong = "; ".join(f"{each.field}: {each.description}" for each in refused.violations)
    return f"{refused.sentence}{f' ({wrong})' if wrong else ''}"[:4000]

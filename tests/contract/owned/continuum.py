"""What an Organization owns at continuum."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from catalyst.continuum.v1 import service_pb2 as continuum
from google.protobuf.message import Message

from ..mesh import Mesh
from ..wishes import continuum as wishes
from .thing import Make, Owned

_X = "catalyst.continuum.v1"


def _slot(method: str, made: Callable[[Mesh], Awaitable[Any]]) -> tuple[str, Make]:
    """A question about a slot; its mark is the name."""

    async def make(m: Mesh) -> Owned:
        request = await made(m)
        named = request.continuum.name if method.startswith("Update") else request.name
        return Owned("acme", request, named.rpartition("/")[2])

    return f"{_X}.ContinuumService/{method}", make


def _of_slot(method: str, kind: Callable[..., Message]) -> tuple[str, Make]:
    async def made(m: Mesh) -> Message:
        return kind(name=(await wishes.slot(m)).name)

    return _slot(method, made)


def _of_run(method: str, made: Callable[[Mesh], Awaitable[Any]]) -> tuple[str, Make]:
    """A question about a run; its mark is the slot's name."""

    async def make(m: Mesh) -> Owned:
        request = await made(m)
        return Owned("acme", request, request.name.split("/")[3])

    return f"{_X}.ContinuumService/{method}", make


async def _looked_at_run(m: Mesh) -> Any:
    return continuum.GetRunRequest(name=(await wishes.waiting_run(m)).name)


async def _watched_run(m: Mesh) -> Any:
    return continuum.WatchRunRequest(name=(await wishes.waiting_run(m)).name)


async def _started_run(m: Mesh) -> Any:
    """Refused to whoever may ask, as no agent is here."""
    planned = await wishes.planned_run(m)
    return continuum.StartRunRequest(name=planned.name, kind=planned.kind, expected_epoch=1)


async def _runs(m: Mesh) -> Owned:
    parent = (await wishes.waiting_run(m)).name.partition("/runs/")[0]
    return Owned("acme", continuum.ListRunsRequest(parent=parent), parent.rpartition("/")[2])


async def _slots(m: Mesh) -> Owned:
    held = await wishes.slot(m)
    return Owned(
        "acme", continuum.ListContinuumsRequest(parent="namespaces/-", page_size=500), held.name.rpartition("/")[2]
    )


async def _new_slot(m: Mesh) -> Owned:
    request = await wishes.a_slot(m)
    return Owned("acme", request, request.continuum_id)


OWNED: Mapping[str, Make] = dict(
    [
        _of_slot("GetContinuum", continuum.GetContinuumRequest),
        _of_slot("WatchContinuum", continuum.WatchContinuumRequest),
        _slot("PlanRun", wishes.planned_run),
        _of_run("GetRun", _looked_at_run),
        _of_run("WatchRun", _watched_run),
        _of_run("ApproveRun", wishes.approved_run),
        _of_run("AbortRun", wishes.aborted_run),
        _slot("StartRun", _started_run),
        (f"{_X}.ContinuumService/ListRuns", _runs),
        _of_slot("PostHealth", continuum.PostHealthRequest),
        _of_slot("Suspend", continuum.SuspendRequest),
        _of_slot("Resume", continuum.ResumeRequest),
        _of_slot("AcknowledgeFailover", continuum.AcknowledgeFailoverRequest),
        _slot("UpdateContinuum", wishes.changed_slot),
        _slot("DeleteContinuum", wishes.gone_slot),
        (f"{_X}.ContinuumService/ListContinuums", _slots),
        (f"{_X}.ContinuumService/CreateContinuum", _new_slot),
    ]
)  # fmt: skip - reads as a table
"""What is asked of each method."""

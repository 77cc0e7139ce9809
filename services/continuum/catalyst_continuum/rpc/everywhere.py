"""A wish for a slot goes to every region that keeps it: the house of a control plane keeps none of them itself, and passes it on.

Nothing is written before every region has answered once. The holder's region comes last, as new cells ask for it. A region
that refuses or dies in between leaves the others with the new wish: the same call again brings them together, since a wish
that is there already changes nothing.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from catalyst.continuum.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context

from ..domain.slots import ContinuumExists, ContinuumNotFound, EtagMismatch
from .elsewhere import Elsewhere, RefusedElsewhere, was_handed_on

OUTRUN = 10
"""Readings of a slot that its agent may outrun."""
M = TypeVar("M", bound=Callable[..., Any])


def made_everywhere(method: M) -> M:
    """CreateContinuum: where nothing of the slot would run here, it is made in those of its regions that can be asked."""

    @functools.wraps(method)
    async def made(self: Any, request: service_pb2.CreateContinuumRequest, context: Context) -> Any:
        regions = [one.name for one in request.continuum.spec.regions if self._elsewhere.knows(one.name)]
        if self._region or not regions or was_handed_on(context):
            return await method(self, request, context)
        name = f"{request.parent}/continuums/{request.continuum_id}"
        kept = await _keepers(self._elsewhere, name)
        if set(regions) <= set(kept):
            raise ContinuumExists(name=name)
        answers = [await self._elsewhere.at(one, "CreateContinuum", request) for one in regions if one not in kept]
        return answers[0]

    return made  # type: ignore[return-value]


def changed_everywhere(method: M) -> M:
    """UpdateContinuum, DeleteContinuum: a slot that is unknown here is changed in every region that keeps it."""

    @functools.wraps(method)
    async def changed(self: Any, request: Any, context: Context) -> Any:
        try:
            return await method(self, request, context)
        except ContinuumNotFound:
            if was_handed_on(context):
                raise
            name = request.name if hasattr(request, "name") else request.continuum.name
            kept = await _keepers(self._elsewhere, name)
            if not kept:
                raise
        if request.etag and all(request.etag != one.etag for one in kept.values()):
            raise EtagMismatch(name=name)
        answers = [
            await _changed(self._elsewhere, region, method.__name__, request, kept[region])
            for region in _holder_last(kept)
        ]
        if isinstance(answers[-1], resources_pb2.Continuum) and not request.validate_only:
            await _joined(self._elsewhere, answers[-1], kept)
        return answers[-1]

    return changed  # type: ignore[return-value]


async def _keepers(elsewhere: Elsewhere, name: str) -> Mapping[str, resources_pb2.Continuum]:
    return await elsewhere.all_found("GetContinuum", service_pb2.GetContinuumRequest(name=name))


def _holder_last(kept: Mapping[str, resources_pb2.Continuum]) -> Iterable[str]:
    holders = {one.status.lease_holder for one in kept.values()}
    return sorted(kept, key=lambda region: region in holders)


async def _changed(elsewhere: Elsewhere, region: str, method: str, request: Any, read: resources_pb2.Continuum) -> Any:
    """The answer of one region. What its agent notes meanwhile is in nobody's way, another wish is: EtagMismatch."""
    asked, name = type(request)(), read.name
    asked.CopyFrom(request)
    asked.etag, wish = read.etag, read.generation
    for _ in range(OUTRUN):
        try:
            return await elsewhere.at(region, method, asked)
        except RefusedElsewhere as refused:
            if refused.reason != EtagMismatch.reason:
                raise
        read = await elsewhere.at(region, "GetContinuum", service_pb2.GetContinuumRequest(name=name))
        if read.generation != wish:
            break
        asked.etag, asked.request_id = read.etag, ""  # one that was refused is not asked again with other words
    raise EtagMismatch(name=name)


async def _joined(elsewhere: Elsewhere, slot: resources_pb2.Continuum, kept: Mapping[str, Any]) -> None:
    """Make the slot where the wish names a region that has none yet: a new one, or one that a first call did not reach."""
    parent, _, name = slot.name.rpartition("/continuums/")
    wish = resources_pb2.Continuum(spec=slot.spec)
    request = service_pb2.CreateContinuumRequest(parent=parent, continuum_id=name, continuum=wish)
    for region in (one.name for one in slot.spec.regions):
        if region not in kept and elsewhere.knows(region):
            try:
                await elsewhere.at(region, "CreateContinuum", request)
            except RefusedElsewhere as refused:
                if refused.reason != ContinuumExists.reason:  # somebody else has just made it
                    raise

"""Choosing components, as the wizard asks: wishes of a request, and what they bring and take along."""

from collections.abc import Callable
from typing import Any

from catalyst.catalog.v1 import service_pb2 as rpc

from ..domain.refusals import ComponentConflict
from ..domain.selection import Components, Selected


def selected(components: Components, request: rpc.SelectComponentsRequest) -> rpc.SelectComponentsResponse:
    """What is chosen after the wishes of a request, and why. Raises what `Components` does, ComponentConflict."""
    before = _selection(components, request)
    after = _changed(components, before, request)
    added, removed = set(after.selected) - set(before), set(before) - set(after.selected)
    return rpc.SelectComponentsResponse(
        selected=sorted(before) if request.validate_only else after.selected,
        added=sorted(added),
        removed=sorted(removed),
        unavailable=after.unavailable,
        because={
            name: rpc.SelectionPath(ids=path)
            for name, path in sorted(after.because.items())
            if len(path) > 1 and name in added | removed
        },
    )


def _selection(components: Components, request: rpc.SelectComponentsRequest) -> tuple[str, ...]:
    if request.selected:
        return tuple(request.selected)
    return (components.minimum() if request.from_empty else components.default()).selected


def _changed(components: Components, before: tuple[str, ...], request: rpc.SelectComponentsRequest) -> Selected:
    """All wishes of a request, one after the other; removals first, so that what is added stays."""
    steps: list[tuple[Callable[..., Selected], Any]] = []
    steps += [(components.remove_family, family) for family in request.remove_families]
    steps += [(components.remove, list(request.remove))] if request.remove else []
    steps += [(components.add_family, family) for family in request.add_families]
    steps += [(components.add, list(request.add))] if request.add else []
    after = components.add(before, [])
    unavailable: set[str] = set()
    because: dict[str, tuple[str, ...]] = {}
    for step, wish in steps:
        after = step(after.selected, wish)
        unavailable.update(after.unavailable)
        because.update(after.because)
    if back := sorted(set(request.remove).intersection(after.selected)):
        # Neither wish may win silently: one would install what was refused, the other leave out what was asked for.
        raise ComponentConflict(removed=", ".join(back), added=because[back[0]][0])
    return Selected(after.selected, after.added, after.removed, tuple(sorted(unavailable)), because)

"""Update masks (AIP-134, AIP-161), and steps that may be rehearsed (AIP-163)."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from catalyst_mesh import Work
from catalyst_sdk import Decision
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from ..domain.organizations import FieldNotSettable
from ..store import Store

S = TypeVar("S")
M = TypeVar("M", bound=Message)


def wanted(mask: FieldMask, given: Message, settable: Collection[str]) -> frozenset[str]:
    """The fields to take over; without a mask, those that are set and may be. Raises FieldNotSettable."""
    if "*" in mask.paths:
        return frozenset(settable)
    if unknown := sorted(set(mask.paths) - set(settable)):
        raise FieldNotSettable(fields=", ".join(unknown))
    return frozenset(mask.paths) or frozenset(field.name for field, _ in given.ListFields()) & frozenset(settable)


async def run(
    work: Work[Store],
    step: Callable[[Store], Awaitable[Decision[S]]],
    answer: Callable[[S], M],
    *,
    validate_only: bool = False,
) -> M:
    """Decide, save and answer; with `validate_only` every check is made and nothing is written."""
    ask = work.rehearse if validate_only else work.run
    return await ask(step, answer=answer)

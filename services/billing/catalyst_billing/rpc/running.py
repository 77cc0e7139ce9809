"""How a step is run: for real, or only to see what it would do."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from catalyst_mesh import Work
from catalyst_sdk import Decision
from google.protobuf.message import Message

from ..store import Store

S = TypeVar("S")
M = TypeVar("M", bound=Message)


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

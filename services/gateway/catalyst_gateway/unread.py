"""Facts about Environments that could not be read: kept as dead letters, and read again where somebody asks for it.

The gateway follows the facts without a consumer that acknowledges. So the letter is published before the place in the stream
moves on, and a replica that dies between the two publishes it again, which the stream drops by its id.
"""

from collections.abc import Sequence
from typing import Any

from catalyst.mesh.v1 import service_pb2
from catalyst_mesh import Bus, Work
from catalyst_mesh.envelopes import decoded
from catalyst_mesh.event_service import LetterBox
from catalyst_mesh.facts import Told
from catalyst_mesh.letters import headers, subject_of
from google.protobuf.message import Message
from nats.aio.msg import Msg

from .callers import Callers
from .copies import Copies
from .store import Store
from .things import Fact, FactUnreadable, of_runtime

GONE = "ws.deleted"
"""`ce-type` of a message that tells of an object that is no more."""
_TOLD, _ENDED = "gateway-from-workspaces", "gateway-from-workspaces-deleted"
"""Whose letters they are: of what is told of an object, and of its end, which a letter alone does not say."""


def is_gone(message: Msg) -> bool:
    """Whether it tells of the end of an object."""
    return decoded(message.headers).get("ce-type") == GONE


async def give_up(bus: Bus, messages: Sequence[tuple[Msg, FactUnreadable]]) -> None:
    """Keep a letter of each, acknowledged by the server. Raises nats.errors.Error where it is away."""
    if not messages:
        return
    await bus.ensure_dead_letters()
    js = await bus.jetstream()
    for message, error in messages:
        consumer = _ENDED if is_gone(message) else _TOLD
        why = headers(message, consumer=consumer, error=error, tries=1)
        await js.publish(subject_of(consumer), message.data, headers=why)


class Again:
    """Reads facts that were given up, by the rules of this release."""

    def __init__(self, name: str, *, is_gone: bool, work: Work[Store], copies: Copies) -> None:
        self.name = name
        self._is_gone = is_gone
        self._work = work
        self._copies = copies

    async def again(self, data: bytes, told: Told) -> bool:
        """Tell it to the read model; False where a newer word is known. Raises FactUnreadable."""
        # Without a number of its own it is older than whatever has one.
        fact = of_runtime(told.subject, data, time=told.time, is_gone=self._is_gone, sequence=0)
        if fact is None:
            return False

        async def step(tx: Store) -> list[Fact]:
            await tx.take_turn()
            return await tx.tell_runtime([(told.event_id, fact)])

        changed = await self._work.again(step)
        await self._copies.put(fact.environment, changed)
        return bool(changed)


class OwnLetters:
    """The gateway's part of what all daemons are asked for, without a way over the wire. It is called as a channel is."""

    def __init__(self, bus: Bus, work: Work[Store], callers: Callers) -> None:
        copies = Copies(bus)
        both = [Again(name, is_gone=gone, work=work, copies=copies) for name, gone in ((_TOLD, False), (_ENDED, True))]
        self._box = LetterBox("gateway", bus, both)
        self._callers = callers

    def unary_unary(self, rpc: str, **_: Any) -> Any:
        """One method. It raises Refused where a daemon answers with an error."""
        name = rpc.rpartition("/")[2]

        async def call(request: Any, *, metadata: Sequence[tuple[str, str]], **_: Any) -> Message:
            if not name.endswith(("DeadLetter", "DeadLetters")):
                return getattr(service_pb2, f"{name}Response")()  # type: ignore[no-any-return]
            token = dict(metadata).get("authorization", "").removeprefix("Bearer ")
            (await self._callers.person(token)).require("sovereign-admin", resource="deadLetters")
            answer: Message = await getattr(self._box, name)(request, None)
            return answer

        return call

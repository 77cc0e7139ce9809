"""Events of all daemons over REST: a name says which daemon is asked; what has no name is asked of all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
from catalyst_sdk import Code, Refused
from google.protobuf.message import Message

PACKAGE = "mesh"
"""Package of the services that every daemon serves."""
Call = Callable[[grpc.aio.Channel], Awaitable[Message]]


class NoSuchDaemon(Refused):
    code, reason, message = Code.NOT_FOUND, "DAEMON_NOT_FOUND", "there is no daemon {daemon}; there are {daemons}"


async def ask(channels: Mapping[str, grpc.aio.Channel], wish: Any, call: Call) -> Message:
    """The answer of the daemons that `wish` is for. Raises NoSuchDaemon or AioRpcError.

    Of many, one that does not answer is left out of a list; what changes something fails, and may be asked again.
    """
    asked = _asked(channels, wish)
    if len(asked) > 1 and "page_size" in wish.DESCRIPTOR.fields_by_name:
        wish.page_size, wish.page_token = 1000, ""  # pages of several daemons do not add up to one
    answers = await asyncio.gather(*(call(channel) for channel in asked), return_exceptions=True)
    reading = not wish.DESCRIPTOR.name.startswith("Replay")
    return _merged([a for a in answers if not (reading and len(asked) > 1 and _is_away(a))], wish)


def _asked(channels: Mapping[str, grpc.aio.Channel], wish: Any) -> Sequence[grpc.aio.Channel]:
    daemon = getattr(wish, "service", "") or getattr(wish, "name", "").partition("/")[2].partition("-")[0]
    if not daemon:
        return list(channels.values())
    if daemon not in channels:
        raise NoSuchDaemon(daemon=daemon, daemons=", ".join(sorted(channels)))
    return [channels[daemon]]


def _is_away(answer: object) -> bool:
    away = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return isinstance(answer, grpc.aio.AioRpcError) and answer.code() in away


def _merged(answers: Sequence[Message | BaseException], wish: Any) -> Message:
    # What is wrong with the wish is worth more to the caller than which daemon is away.
    for error in sorted((a for a in answers if isinstance(a, BaseException)), key=_is_away):
        raise error
    found = [answer for answer in answers if isinstance(answer, Message)]
    if not found:
        raise DaemonsAway(method=wish.DESCRIPTOR.name)
    whole = found[0]
    for answer in found[1:]:
        whole.MergeFrom(answer)
    return whole


class DaemonsAway(Refused):
    code, reason, message = Code.UNAVAILABLE, "DAEMONS_UNAVAILABLE", "no daemon answers {method}; try again"

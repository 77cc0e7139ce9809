"""How a call of a registrar ends: the one reason, what its error says, and everything that a careless host could print of it."""

import asyncio
import traceback
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from catalyst_sdk import NotSupported, Permanent, PluginFailure, RateLimited, Temporary
from catalyst_sdk.registrar import REASONS, Target

from .registrar_bench import NEW, RegistrarApiBench, RegistrarBench
from .spoiling import Spoil

ONE_OF_FOUR = (Temporary, RateLimited, Permanent, NotSupported)
MEANING: dict[Spoil, type[PluginFailure]] = {
    Spoil.LOST: Temporary, Spoil.SILENT: Temporary, Spoil.TORN: Temporary, Spoil.REFUSED: Temporary,
    Spoil.AWAY: Temporary, Spoil.BUSY: RateLimited, Spoil.STRANGER: Permanent, Spoil.PAGE: Permanent,
    Spoil.GONE: Permanent,
}  # fmt: skip
"""What each fault of every answer becomes. A cut or empty answer may still be a good one, so it has no row."""


def asked_of(bench: RegistrarBench) -> int:
    """How many requests arrived; 0 where nobody counts."""
    return bench.asked() if isinstance(bench, RegistrarApiBench) else 0


def assert_useful(failure: PluginFailure, how: Spoil, *, reads: bool = False) -> None:
    """It names the provider and says something; the pause is the one that was asked for."""
    told = "a read leaves no outcome to be found out: where it is no GET, call the API with writes=False"
    assert not reads or failure.metadata.get("outcome") != "unknown", told
    assert type(failure) is MEANING.get(how, type(failure))
    assert failure.provider
    assert failure.message
    if isinstance(failure, Permanent):
        assert failure.reason in REASONS
        assert failure.reason == ("CREDENTIALS_REJECTED" if how is Spoil.STRANGER else "PROTOCOL_MISMATCH")
        assert failure.user_action
    if isinstance(failure, RateLimited):
        assert failure.retry_after.total_seconds() == 7
    if how is Spoil.AWAY:
        assert isinstance(failure, Temporary)
        assert failure.delay is not None


async def reason(call: Awaitable[Any]) -> str:
    """The reason with which the call was refused; empty where it was not."""
    try:
        await call
    except Permanent as refused:
        return refused.reason
    return ""


async def unsupported(call: Awaitable[Any]) -> str:
    """The capability for whose lack the call was refused; empty where it was not."""
    try:
        await call
    except NotSupported as refused:
        return refused.capability
    return ""


async def heard(call: Awaitable[Any]) -> str:
    """All that a careless host could print of a call's end."""
    try:
        return repr(await call)
    except PluginFailure as failure:
        whole = "".join(traceback.TracebackException.from_exception(failure, capture_locals=False).format())
        chained: list[BaseException] = []
        one: BaseException | None = failure
        while one is not None and one not in chained:
            chained.append(one)
            one = one.__cause__ or one.__context__
        return whole + "".join(repr(vars(link)) + repr(link) for link in chained)


async def all_heard(bench: RegistrarApiBench, etag: str) -> list[str]:
    """What every call tells with every credential, good or not, and what a plugin shows of itself after it."""
    plugin = bench.make(bench.proxy.port)  # a new one each time, or its pace would keep it from asking at all
    calls: list[Awaitable[Any]] = []
    for ref in (bench.credential, bench.rejected, bench.broken):
        calls += [
            plugin.validate(credential=ref, domain=bench.domain),
            plugin.delegation(credential=ref, domain=bench.domain),
            plugin.apply(credential=ref, domain=bench.domain, target=Target(NEW), expect=etag),
        ]
    return [*await asyncio.gather(*map(heard, calls)), repr(vars(plugin))]


async def cut_off(call: Awaitable[Any], steps: int) -> None:
    """Begin a call and die after so many turns of the loop. What was sent by then takes effect, answered or not."""
    task = asyncio.ensure_future(call)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError, *ONE_OF_FOUR):
        await task

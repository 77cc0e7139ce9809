"""One entry into one step: its functions are called here and nowhere else, and whatever they do becomes one decision."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from ..telemetry import span
from . import backward, forward
from .context import Context, as_json
from .draft import Decided
from .failures import Wait
from .graph import Action, Step
from .hold import Decide, Hold
from .states import Flow, StepState, Waits
from .verdicts import TIMED_OUT, Verdict, judge

CHECK_LIMIT = timedelta(minutes=1)
"""How long a look at the world may take."""
LAST_QUESTION = timedelta(seconds=10)
"""What a step that has waited to its deadline still gets, so that it can ask once more."""


class TimeOver(Exception):
    """The step did not end before its deadline."""


async def advance(hold: Hold, step: Step, rng: Random) -> None:
    """Enter `step` on the way forward, from whatever state it is in."""
    row = hold.flow.steps[step.name]
    doubtful, resting = row.state is StepState.IN_DOUBT, row.waits in {Waits.MOMENT, Waits.SIGNAL}
    if doubtful and (found := await _look(hold, step, rng)):
        await hold.apply(found)
        return
    if not row.polling:  # asking once more is no transition
        flow = await hold.apply(_decide(forward.resume, step) if resting else _start(step))
        if flow.steps[step.name].state is not StepState.RUNNING:
            return
        repeats = row.attempt > 0 and not resting and not doubtful
        if repeats and (found := await _look(hold, step, rng)):
            await hold.apply(found)
            return
    at_least = LAST_QUESTION if resting or row.polling else timedelta()
    await _conclude(hold, await _try(hold, step, rng, at_least))


async def undo(hold: Hold, step: Step, rng: Random) -> None:
    """Undo `step`, or go on undoing it."""
    if step.undo is None:
        await hold.apply(_decide(backward.forget_undo, step))
        return
    if hold.flow.steps[step.name].state is not StepState.UNDOING:
        flow = await hold.apply(_decide(backward.begin_undo, step))
        if flow.steps[step.name].state is not StepState.UNDOING:
            return
    await _conclude(hold, await _try_undo(hold, step, step.undo, rng))


async def forsake(hold: Hold, name: str) -> None:
    """Deal with a step of a cancelled run that this version of the code does not know any more."""
    if hold.flow.steps[name].state is StepState.IN_DOUBT:
        await hold.apply(lambda flow, now: forward.start(flow, name, now, timeout=None))
    else:
        await hold.apply(lambda flow, now: backward.forget_undo(flow, name, now))


async def _conclude(hold: Hold, decide: Decide) -> None:
    await hold.logbook.flush()  # the last lines too: once the run has ended, nobody may write them any more
    await hold.apply(decide)


async def _try(hold: Hold, step: Step, rng: Random, at_least: timedelta) -> Decide:
    """Call `run`; what follows from how it ends."""
    try:
        output = as_json(await _bounded(hold, step, at_least))
    except Wait as wish:
        return _decide(forward.wait, step, wish=wish)
    except TimeOver:
        return await _time_over(hold, step, rng)
    except Exception as error:  # a step runs anybody's code; what it raises is the step's failure, not ours
        return _failed(hold, step, error, rng)
    return _decide(forward.succeed, step, output=output)


async def _try_undo(hold: Hold, step: Step, function: Action, rng: Random) -> Decide:
    try:
        await _called(hold, step, "undo", function, step.timeout)
    except Wait as wish:
        return _decide(backward.wait_undo, step, wish=wish)
    except Exception as error:  # as above
        verdict = judge(error, step, hold.flow.steps[step.name].tries, rng)
        return _decide(backward.fail_undo, step, verdict=verdict)
    return _decide(backward.undone, step)


async def _look(hold: Hold, step: Step, rng: Random) -> Decide | None:
    """Ask `check`; None: it is not done. A step that cannot be checked is not done."""
    if step.check is None:
        return None
    try:
        evidence = as_json(await _called(hold, step, "check", step.check, CHECK_LIMIT))
    except Wait as wish:
        return _decide(forward.wait, step, wish=wish)
    except Exception as error:  # as above
        return _failed(hold, step, error, rng)
    return None if evidence is None else _decide(forward.succeed, step, output=evidence, evidence=True)


async def _bounded(hold: Hold, step: Step, at_least: timedelta) -> Any:
    """Call `run`, until the deadline or for `at_least`. Raises TimeOver."""
    deadline = hold.flow.steps[step.name].deadline
    limit = max(deadline - hold.clock.now(), at_least) if deadline else None
    return await _called(hold, step, "run", step.run, limit, over=TimeOver)


async def _called(
    hold: Hold,
    step: Step,
    what: str,
    function: Action,
    limit: timedelta | None,
    *,
    over: type[Exception] = TimeoutError,
) -> Any:
    """Call one of the step's functions. When its time is over it is asked to stop (cancelled), and awaited."""
    hold.hook(f"{what}:{step.name}.before")
    run = hold.flow.run
    told = {"step": step.name, "run_kind": run.kind, "run_id": run.id}
    try:
        with span(f"step {what}", parent=run.traceparent or None, answers=Wait, **told):
            async with asyncio.timeout(limit.total_seconds() if limit is not None else None) as clock:
                result = await function(Context(hold, step.name))
    except TimeoutError as error:
        if clock.expired():
            raise over(f"{what} did not end in time") from error
        raise
    hold.hook(f"{what}:{step.name}.after")
    return result


async def _time_over(hold: Hold, step: Step, rng: Random) -> Decide:
    """The time is over, and it may have happened all the same: only a look at the world tells."""
    await hold.apply(lambda flow, now: forward.doubt(flow, [step.name], now, message="its time is over"))
    return await _look(hold, step, rng) or _decide(forward.fail, step, verdict=Verdict(TIMED_OUT))


def _failed(hold: Hold, step: Step, error: Exception, rng: Random) -> Decide:
    verdict = judge(error, step, hold.flow.steps[step.name].tries, rng)
    return _decide(forward.fail, step, verdict=verdict)


def _start(step: Step) -> Decide:
    return _decide(forward.start, step, timeout=step.timeout)


def _decide(decision: Callable[..., Decided], step: Step, **rest: Any) -> Decide:
    def decide(flow: Flow, now: datetime) -> Decided:
        return decision(flow, step.name, now, **rest)

    return decide

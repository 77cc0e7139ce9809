"""What follows from a failure of a step: another try, a rest, or the end of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from traceback import extract_tb
from typing import Any

from catalyst_sdk import Code, NotSupported, Permanent, PluginFailure, RateLimited, Refused, Temporary

from .failures import StepBlocked, StepFailed
from .graph import Step


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a failure.

    delay    rest before the next try; None: the step has failed
    counts   whether it counts as a try
    blocked  the time until then is not the step's
    """

    failure: Mapping[str, Any]
    delay: timedelta | None = None
    counts: bool = True
    blocked: bool = False
    pause: bool = False


_PASSING = {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, Code.ABORTED}
TIMED_OUT: Mapping[str, Any] = {"class": "timeout", "reason": "TIMED_OUT", "message": "the time of this step is over"}
UNDO_MISSING: Mapping[str, Any] = {
    "class": "permanent",
    "reason": "UNDO_MISSING",
    "message": "this version of the code does not know how to undo it",
}


def judge(error: Exception, step: Step, tries: int, rng: Random) -> Verdict:
    """What follows from `error` of a step that has failed `tries` times before."""
    if isinstance(error, StepFailed):
        return Verdict(_failure("step_failed", error.reason, error.message, error), pause=error.pause)
    if isinstance(error, StepBlocked):
        failure = judge(error.why, step, tries, rng).failure
        return Verdict(failure, delay=error.after, counts=False, blocked=True)
    if isinstance(error, RateLimited):
        failure = _failure("rate_limited", "RATE_LIMITED", error.message, error)
        return Verdict(failure, delay=error.retry_after, counts=False)
    if isinstance(error, Temporary):
        failure = _failure("temporary", "TEMPORARY", error.message, error)
        return _again(failure, step, tries, step.retries + 1, error.delay, rng)
    if isinstance(error, Permanent):
        return Verdict(_failure("permanent", error.reason, error.message, error))
    if isinstance(error, NotSupported):
        return Verdict(_failure("not_supported", "NOT_SUPPORTED", error.message, error))
    if isinstance(error, Refused):
        failure = _failure("refused", error.reason, error.sentence, error)
        return _again(failure, step, tries, step.retries + 1, None, rng) if error.code in _PASSING else Verdict(failure)
    most = min(step.backoff.unknown_tries, step.retries + 1)
    return _again(_failure("unknown", "UNKNOWN", _whereabouts(error), error), step, tries, most, None, rng)


def _again(
    failure: Mapping[str, Any], step: Step, tries: int, most: int, wish: timedelta | None, rng: Random
) -> Verdict:
    if tries + 1 >= most:
        return Verdict(failure)
    return Verdict(failure, delay=max(wish or timedelta(), step.backoff.delay(tries + 1, rng)))


def _failure(kind: str, reason: str, message: str, error: Exception) -> dict[str, Any]:
    told: dict[str, Any] = {"class": kind, "reason": reason, "message": message}
    if isinstance(error, PluginFailure):
        told |= {"provider": error.provider, "provider_code": error.provider_code}
    if action := getattr(error, "user_action", ""):
        told["user_action"] = action
    if metadata := getattr(error, "metadata", None):
        told["metadata"] = dict(metadata)
    return told


def _whereabouts(error: Exception) -> str:
    # The text of an unknown error may hold a secret (an address with a token in it), its type and place do not.
    frames = extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"

"""Applications of Organizations on a cluster: what its agent told, judged as a component of the house is.

Invariants
  no guess   without a release of the life that is wished there is PENDING; behind silence there is UNKNOWN;
  last list  nothing is gone before the agent has told of the cluster with the newest list in its hands.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from catalyst_sdk import Code, Refused

from .component_states import ComponentState, Release, Seen, Verdict, judge


class Fenced(Refused):
    code, reason = Code.ABORTED, "FENCED"
    message = "the Applications of {cluster} are told by a later holder of the lease than {fence}"


@dataclass(frozen=True, slots=True)
class Hosted:
    """One Application as its cluster shows it."""

    uid: str
    commit: str
    """Commit that was taken over; empty: none yet."""
    release: Release | None
    serves: bool
    problem: str = ""
    """Why its files could not be taken over."""


def stands(seen: Hosted | None, uid: str, *, was_ready: bool, is_silent: bool) -> Verdict:
    """The state of one, of which the life `uid` is wished; an empty one: none is, and it is going."""
    if seen is None or (uid and seen.uid != uid):
        return judge(Seen(None, is_silent=is_silent))
    verdict = judge(Seen(seen.release, probe_passed=seen.serves, was_ready=was_ready, is_silent=is_silent))
    if seen.problem and not is_silent:
        return Verdict(verdict.state, seen.problem)
    return verdict


def is_ready(seen: Hosted) -> bool:
    """Whether it runs and serves."""
    return stands(seen, seen.uid, was_ready=False, is_silent=False).state is ComponentState.READY


def have_changed(before: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the agent has to hear of the list."""
    return list(before) != list(now)

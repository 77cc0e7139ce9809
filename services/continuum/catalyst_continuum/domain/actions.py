"""What an agent may begin, and a row of the table that says when."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .authority import Moment
from .view import State, View, Wish


class Action(StrEnum):
    """What is begun."""

    SELF_FENCE = "self-fence"
    SUSPECT_SPLIT_BRAIN = "self-fence, and say that there may be two primaries"
    RENEW = "renew"
    SEEK_WITNESSES = "relay the renewal through a peer, then ask peers to hold off"
    SAY = "say why nothing is done"
    RESUME = "resume"
    BOOTSTRAP = "bootstrap"
    RUN_STEP = "execute the run's phase"
    HAND_OFF = "self-fence, then hand off"
    FOLLOW_ORDER = "bring the record and the database into one order"
    RECONCILE = "reconcile"
    RECALL = "recall"
    NEXT_RUNG = "take the next rung of the ladder, and page"
    UNFENCE = "renew, then un-fence and verify a write"
    ACQUIRE = "acquire"
    FOLLOW = "follow"
    ACCEPT = "accept"
    PRE_STAGE = "pre-stage"
    STEAL = "steal"
    FORCE = "take from a holder that renews"
    TAKE_UNWITNESSED = "take without a majority of cells, and say that there may be two primaries"
    CONFIRM = "have the cells confirm what was taken without them"
    AWAIT_APPROVAL = "await approval"
    PROMOTE = "promote"
    READ_AGAIN = "read until known"
    RETRY = "retry, and page"
    STAY = "stay"


@dataclass(frozen=True, slots=True)
class Decision:
    """The row that matched, and what it says."""

    row: str
    action: Action
    state: State


Guard = Callable[[View, Wish, Moment], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `target` None: the state stays."""

    name: str
    states: frozenset[State]
    guard: Guard
    action: Action
    target: State | None = None

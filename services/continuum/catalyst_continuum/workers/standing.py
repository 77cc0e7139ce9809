"""Where an agent stands: its own state, which no other task than the agent's may change but through what is written here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from catalyst_continuum.domain.authority import Authority, Moment
from catalyst_continuum.domain.failsafe import Promise
from catalyst_continuum.domain.lease import Fence
from catalyst_continuum.domain.view import Claim, State, Unconfirmed

Clock = Callable[[], Moment]


class Trace(Protocol):
    """Where changes of authority, effects and refusals are written down."""

    def __call__(
        self, event: str, *, epoch: int = 0, seq: int = 0, deadline: float | None = None, effect: str = ""
    ) -> None: ...


class AuthorityOver(Exception):
    """An effect was not begun, or its result is not believed: the right to it had ended."""


@dataclass(slots=True)
class Standing:
    """claimed     nonce of the claim under way, and when it was begun
    promised    what this region promised to a holder that has no cells
    proof       of a fence, since the last time it was lifted
    succeeds    an epoch that was made by force, and from when this region may act in it: until then the holder before may
    unconfirmed  what people gave this region without a majority of cells, until these confirm it
    offering    the slot is being given away: no renewal gives authority any more, until a new claim
    """

    started_at: float
    state: State = State.BOOTING
    epoch: int = 0
    authority: Authority | None = None
    sent_at: float | None = None
    claim: Claim | None = None
    claimed: tuple[str, float] | None = None
    promise: Promise | None = None
    unconfirmed: Unconfirmed | None = None
    offering: bool = False
    failsafe_since: float | None = None
    """Since when a holder lives on promises of its peers; None: it does not."""
    succeeds: tuple[int, float] = (0, 0.0)
    proof: Fence | None = None
    fence_began: float | None = None
    promote_began: float | None = None
    canary: bool | None = None
    failing_since: float | None = None
    why: str = ""
    trouble: dict[str, str] = field(default_factory=dict)

    def may(self, now: Moment, expected: float = 0.0) -> bool:
        """Whether an effect that takes `expected` seconds may be begun."""
        return self.authority is not None and self.authority.allows(now, expected)

"""Whether a history of one register could have happened one operation after another (I7), by the search of Wing and Gong.

An operation that ended takes effect somewhere between its call and its return; one whose outcome nobody knows, anywhere after its
call, or never. Operations that were over before another began come before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One call.

    begun, ended  in the order of a clock that everybody has; ended None: the outcome is unknown
    value         what it wrote, or saw
    before        of a write, what it found; None where nobody was told
    """

    begun: int
    ended: int | None
    value: str
    writes: bool = False
    before: str | None = None

    def after(self, state: str) -> str | None:
        """The register after it; None where it cannot have been then."""
        if not self.writes:
            return state if state == self.value else None
        return self.value if self.before in (None, state) else None


def is_linearizable(history: Sequence[Operation], first: str = "") -> bool:
    """Search for an order; what was reached once is not searched again."""
    must = frozenset(n for n, one in enumerate(history) if one.ended is not None)
    seen: set[tuple[frozenset[int], str]] = set()
    stack = [(frozenset[int](), first)]
    while stack:
        done, state = stack.pop()
        if must <= done:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        returns = min((history[n].ended or 0) for n in must - done)
        for n, one in enumerate(history):
            if n not in done and one.begun < returns and (after := one.after(state)) is not None:
                stack.append((done | {n}, after))
    return False

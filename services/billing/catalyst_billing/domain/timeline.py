"""What one period of a subscription costs: which item runs from when to when, and the price of a whole period for it.

Invariants
  additive   what a change costs is the new timeline's charge less the old one's, so any sequence of changes charges what
             the final timeline charges, and nothing else;
  once       every moment at which the level changes is one line, rounded half to even once: the charge differs from the
             exact area by at most half a minor unit for each of them;
  past       a change at a moment leaves everything before that moment as it was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .money import Money, total
from .periods import Span, part


@dataclass(frozen=True, slots=True)
class Piece:
    """One item from `start` until just before `end`; `amount` is what it costs for the whole period."""

    start: datetime
    end: datetime
    item: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Timeline:
    """All pieces of one period."""

    period: Span
    currency: str
    pieces: tuple[Piece, ...] = ()

    def level(self, moment: datetime) -> Money:
        """Price of a whole period at what runs at `moment`."""
        return total([p.amount for p in self.pieces if p.start <= moment < p.end], self.currency)

    def charge(self) -> Money:
        """What the period costs: the area under the timeline."""
        steps, before = [], Money(0, self.currency)
        for moment in self._moments():
            now = self.level(moment)
            steps.append(part(now - before, Span(moment, self.period.end), self.period))
            before = now
        return total(steps, self.currency)

    def changed(self, at: datetime, items: Iterable[tuple[str, Money]]) -> "Timeline":
        """The timeline with `items`, and nothing else, from `at` on. A moment outside of the period counts as its edge."""
        moment = max(at, self.period.start)
        kept = [replace(p, end=min(p.end, moment)) for p in self.pieces if p.start < moment]
        new = (
            [Piece(moment, self.period.end, item, amount) for item, amount in items] if moment < self.period.end else []
        )
        return replace(self, pieces=(*(p for p in kept if p.start < p.end), *new))

    def ended(self, at: datetime) -> "Timeline":
        """The timeline with nothing from `at` on."""
        return self.changed(at, ())

    def _moments(self) -> Sequence[datetime]:
        edges = {edge for piece in self.pieces for edge in (piece.start, piece.end)}
        return sorted(edge for edge in edges if edge < self.period.end)


def whole(period: Span, currency: str, items: Iterable[tuple[str, Money]]) -> Timeline:
    """The timeline of a period in which `items` run from its start to its end."""
    return Timeline(period, currency).changed(period.start, items)


def difference(old: Timeline, new: Timeline) -> Money:
    """What is still to be charged (above zero) or given back (below) where `old` was charged and `new` is true."""
    return new.charge() - old.charge()

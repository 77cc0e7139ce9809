"""Which plan pays for usage, and when: that of the Sovereign which used it, else the Organization's own.

Invariants
  its own plan   what a Sovereign uses is billed by the subscription that pays for it, and by no other;
  while it ran   what was used under a metered plan is billed though the plan was left since, and nothing else is.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from .earnings import Period
from .periods import Span
from .rating import Card
from .subscriptions import Subscription

SOVEREIGNS = "sovereigns/"
"""How the place begins in which a Sovereign itself used something; all others are an Organization's Environments."""


def payer_of(place: str) -> str:
    """The Sovereign whose plan pays for what was used in a place; empty: the Organization's own plan does."""
    return place if place.startswith(SOVEREIGNS) else ""


def is_metered(s: Subscription, cards: Iterable[Card]) -> bool:
    """Whether usage under the plan of a subscription costs something now."""
    return any(s.plan in card.metered for card in cards if card.version == s.price_book_version)


def spans(s: Subscription, period: Period | None, cards: Sequence[Card]) -> list[Span]:
    """The time of which usage is billed next, in order: of the current period, or of what a last bill is about.

    period   the current one, which knows when the plan was changed in it
    """
    bounds = s.last or s.period
    plans = {plan for card in cards for plan in card.metered}
    pieces = [] if period is None else [piece for piece in period.pieces if piece.item in plans]
    ran = [Span(piece.start, piece.end) for piece in pieces]
    if is_metered(s, cards):
        own = [piece.start for piece in pieces if piece.item == s.plan]
        # A period without pieces cost nothing, but what was used in it does.
        ran.append(Span(max(own, default=bounds.start), bounds.end))
    return _without_overlaps(ran, bounds)


def _without_overlaps(parts: Iterable[Span], bounds: Span) -> list[Span]:
    """The parts within `bounds`, none of which holds what another one holds."""
    found: list[Span] = []
    reached: datetime = bounds.start
    for one in sorted(parts, key=lambda span: (span.start, span.end)):
        start, end = max(one.start, reached), min(one.end, bounds.end)
        if start < end:
            found.append(Span(start, end))
            reached = end
    return found

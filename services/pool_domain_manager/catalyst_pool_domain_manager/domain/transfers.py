"""A name goes from one owner to another: offered with a code, taken with it. DNS does not change.

Invariants
  by the taker   the owner changes by the acceptance alone, and only to whom the name was offered;
  last offer     a new offer voids the one before;
  no key left    what proved the former holder, the reservation's token, proves nothing after the acceptance.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from catalyst_sdk import Decision

from . import refusals
from .allocations import COMMITTED, Allocation, Offer, Transferred

STANDS = timedelta(days=7)
"""How long an offer can be taken."""


def offer(a: Allocation, new_owner: str, code_hash: str, now: datetime) -> Decision[Allocation]:
    """Offer a committed name. Raises NotCommitted."""
    if a.state not in COMMITTED:
        raise refusals.NotCommitted(name=a.name, state=a.state)
    made = replace(a, offer=Offer(new_owner, code_hash, now + STANDS), version=a.version + 1, updated_at=now)
    return Decision(made)


def accept(a: Allocation, code_hash: str, actor: str, now: datetime) -> Decision[Allocation]:
    """Take an offered name. Raises TokenMismatch, TransferExpired."""
    given = a.offer
    if given is None or not refusals.same(given.code_hash, code_hash):
        raise refusals.TokenMismatch(name=a.name)
    if given.new_owner == a.owner:
        return Decision(a)
    if given.ends_at <= now or a.state not in COMMITTED:
        raise refusals.TransferExpired(name=a.name)
    after = replace(a, owner=given.new_owner, token_hash="", version=a.version + 1, updated_at=now)
    return Decision(after, (Transferred(after, actor, a.owner),))

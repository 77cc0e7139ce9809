"""Campaigns: vouchers with one purpose and one budget.

Invariants
  budget   what is confirmed and reserved of all its vouchers never passes it;
  covered  it is never set below that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from catalyst_sdk import Code, Decision, Refused

from .money import Money
from .vouchers import CapBelowUse


class CampaignNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "CAMPAIGN_NOT_FOUND", "there is no campaign {campaign}"


@dataclass(frozen=True, slots=True)
class Campaign:
    """A set of vouchers."""

    id: str
    uid: str
    title: str
    budget: Money | None
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"campaigns/{self.id}"


def begin(id: str, uid: str, title: str, budget: Money | None, now: datetime) -> Decision[Campaign]:
    """A new campaign."""
    return Decision(Campaign(id, uid, title, budget, now, now))


def edit(
    campaign: Campaign, title: str, budget: Money | None, used: Mapping[str, int], now: datetime
) -> Decision[Campaign]:
    """Another title or budget. Raises CapBelowUse.

    used   confirmed and reserved minor units by currency
    """
    if budget is not None and budget.minor < (spent := used.get(budget.currency, 0)):
        raise CapBelowUse(field="budget", asked=str(budget), used=str(Money(spent, budget.currency)))
    if (title, budget) == (campaign.title, campaign.budget):
        return Decision(campaign)
    return Decision(
        replace(campaign, title=title, budget=budget, updated_at=now, version=campaign.version + 1)
    )  # fmt: skip

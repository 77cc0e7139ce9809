"""Whether the limits of a plan hold what is wanted; whole numbers in every dimension, and an absent limit holds anything."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .storefront import LIMITS, Kind, Offer

Amounts = Mapping[str, int]
"""By dimension, as in `LIMITS`; an absent one is nothing of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check came to."""

    plan: Offer
    used: Amounts
    wanted: Amounts
    shortfall: Amounts
    """What is missing per dimension; empty where all fits."""
    suggested: Offer | None = None
    """The smallest plan that holds all of it; None where the plan does, or none does."""

    @property
    def fits(self) -> bool:
        return not self.shortfall


def check(plan: Offer, plans: Iterable[Offer], used: Amounts, wanted: Amounts) -> Verdict:
    """Whether `plan` holds `used` and `wanted` together.

    plans   those that are sold, from which a larger one may be suggested
    """
    together = total((used, wanted))
    short = shortfall(plan, together)
    larger = sorted(plans, key=lambda one: (one.body["metered"], one.body["price_minor"], one.sort, one.slug))
    fitting = (one for one in larger if not shortfall(one, together)) if short else iter(())
    return Verdict(plan, used, wanted, short, next(fitting, None))


def shortfall(plan: Offer, wanted: Amounts) -> Amounts:
    """What `plan` lacks, by dimension."""
    limits = {name: plan.body[name] for name in LIMITS if plan.body.get(name) is not None}
    return {name: wanted.get(name, 0) - limit for name, limit in limits.items() if wanted.get(name, 0) > limit}


def total(amounts: Iterable[Amounts]) -> Amounts:
    """The sum in every dimension."""
    every = list(amounts)
    return {name: sum(one.get(name, 0) for one in every) for name in LIMITS}


def needs_of(app: Offer) -> Amounts:
    """What one app, or backing service, takes by default."""
    body = app.body if app.body.get("kind") == "service" else app.body.get("needs", {})
    return {name: body[name] for name in LIMITS if body.get(name) is not None}


def needs(wanted: Iterable[str], apps: Mapping[str, Offer]) -> Amounts:
    """What apps take together with the backing services that they need.

    One service serves all apps that need it where it may be shared, else each has its own.
    """
    taken: list[Offer] = []
    shared: set[str] = set()
    for slug in sorted(wanted):
        taken.append(apps[slug])
        for name in apps[slug].body.get("requires", ()):
            service = apps.get(name)
            if service is None or name in shared:
                continue
            taken.append(service)
            if service.body.get("shareable"):
                shared.add(name)
    return total(map(needs_of, taken))


def sold(offers: Iterable[Offer]) -> list[Offer]:
    """The plans that can be taken anew."""
    return [offer for offer in offers if offer.kind is Kind.PLAN and not offer.body.get("retired")]

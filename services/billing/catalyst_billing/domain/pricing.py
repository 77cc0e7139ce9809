"""What a selection costs: the lines of a quote, made from one version of the price book.

Invariants
  never free by accident   what the book does not name, or cannot price, is refused and never taken as 0;
  adds up                  total = subtotal + tax that is not inclusive = credit + rounding + due, and none is negative;
  once                     every line is rounded once, half to even.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from catalyst_sdk import Code, Refused, Violation

from .credit import Purpose
from .money import Money, total
from .prices import App, Bundle, Plan, PriceBook
from .vouchers import Terms


class NotInBook(Refused):
    """Something that is not sold. Subclasses say what; the violations name every unknown slug of the request."""

    code, message = Code.INVALID_ARGUMENT, "the price book has no {what} {slugs}"


class PlanUnknown(NotInBook):
    reason = "PLAN_UNKNOWN"


class AddOnUnknown(NotInBook):
    reason = "ADD_ON_UNKNOWN"


class BundleUnknown(NotInBook):
    reason = "BUNDLE_UNKNOWN"


class AppUnknown(NotInBook):
    reason = "APP_UNKNOWN"


class AppNotDeployable(Refused):
    reason, message = "APP_NOT_DEPLOYABLE", "not deployable yet: {apps}"


class RateUnset(Refused):
    reason, message = "RATE_UNSET", "plan {plan} is metered, and a rate of it is not set"


TRIAL = "trial"
"""Item of the discount that makes a trial cost nothing."""


class LineKind(StrEnum):
    """What a line of a quote is, in the order of the lines."""

    PLAN = "plan"
    ADD_ON = "add_on"
    DISCOUNT = "discount"
    VOUCHER = "voucher"
    TAX = "tax"
    CREDIT = "credit"
    ROUNDING = "rounding"
    DUE = "due"
    TOP_UP = "top_up"


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Discounts, credit and rounding are below zero."""

    kind: LineKind
    item: str
    title: str
    amount: Money
    rate_bps: int = 0
    is_inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """What a period holds and costs, before tax."""

    plan: str
    add_ons: tuple[str, ...]
    items: tuple[Line, ...]
    """Goods and the bundle's discount, each for one whole period."""
    price_book_version: int
    since: datetime | None = None
    """The first moment at which a period that has it may begin; None: any."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What somebody wants to order. Prices are no part of it."""

    plan: str
    add_ons: tuple[str, ...] = ()
    bundle: str = ""
    apps: tuple[str, ...] = ()
    sovereign: str = ""
    period_months: int = 1
    trial: bool = False


@dataclass(frozen=True, slots=True)
class TaxRule:
    """A tax of the Sovereign. `applies_to` names kinds of lines (`plan`, `add_on`, `usage`); empty: all."""

    name: str
    rate_bps: int
    is_inclusive: bool = False
    applies_to: tuple[str, ...] = ()

    @property
    def rate(self) -> Decimal:
        """The tax as a part of the amount that is taxed."""
        rate = Decimal(self.rate_bps) / 10_000
        return rate / (1 + rate) if self.is_inclusive else rate

    def on(self, amount: Money) -> Money:
        """The tax on one amount, rounded half to even."""
        return amount.times(self.rate)


@dataclass(frozen=True, slots=True)
class Priced:
    """The lines and what they sum to."""

    lines: tuple[Line, ...]
    subtotal: Money
    tax: Money
    total: Money
    discount: Money
    """What a percent voucher takes off, not negative."""
    credit: Money
    rounding: Money
    due: Money


@dataclass(frozen=True, slots=True)
class Bill:
    """What goods cost for one period, however that is paid."""

    lines: tuple[Line, ...]
    subtotal: Money
    tax: Money
    total: Money
    discount: Money
    """What a percent voucher takes off, not negative."""

    @property
    def net(self) -> Money:
        """Without tax, inclusive ones left out too."""
        return self.total - self.tax

    @property
    def parts(self) -> list[tuple[str, Money]]:
        """What sums to `net`, by item."""
        of_goods = [(line.item or line.title, line.amount) for line in self.lines if line.kind is not LineKind.TAX]
        included = [(line.item, -line.amount) for line in self.lines if line.kind is LineKind.TAX and line.is_inclusive]
        return [*of_goods, *included]


def purpose_of(selection: Selection, book: PriceBook) -> Purpose:
    """What the selection would spend credit on."""
    return Purpose(selection.plan, tuple(sorted(filter(None, (book.apps[slug].blueprint for slug in selection.apps)))))


def price(
    selection: Selection, book: PriceBook, *, voucher: Terms | None, taxes: Sequence[TaxRule], credit: Money, step: int
) -> Priced:
    """Price a selection. Raises what cannot be sold.

    credit   available credit of the account, the order's own voucher left out
    step     the payment provider's step in minor units; the card part is rounded down to it
    """
    check(selection, book)
    goods = _goods(selection, book)
    reduced = [*goods, *_bundle_discount(selection, book, goods[0])]
    if selection.trial:
        reduced.append(
            Line(LineKind.DISCOUNT, TRIAL, "Trial", -total([line.amount for line in reduced], book.currency))
        )
    title = voucher.description if voucher else ""
    b = bill(reduced, taxes, percent=voucher.percent if voucher else 0, title=title, has_voucher=voucher is not None)
    flat = voucher.amount if voucher and voucher.amount else b.total.zero()
    used = min(b.total, credit + flat)
    due = (b.total - used).floor_to(step)
    rounding = b.total - used - due
    ends = [
        Line(LineKind.CREDIT, "", "Credit", -used),
        Line(LineKind.ROUNDING, "", "Rounding", -rounding),
    ]
    lines = (*b.lines, *(line for line in ends if line.amount), Line(LineKind.DUE, "", "Due", due))
    return Priced(lines, b.subtotal, b.tax, b.total, b.discount, used, rounding, due)


def bill(
    items: Sequence[Line], taxes: Sequence[TaxRule], *, percent: int = 0, title: str = "", has_voucher: bool = False
) -> Bill:
    """What goods with their discounts cost, the plan first, with a percent voucher's part taken off.

    title         the voucher's words
    has_voucher   whether its line is shown though it takes nothing off
    """
    currency = items[0].amount.currency
    goods = [line for line in items if line.kind in _GOODS]
    net, voucher_lines = _with_voucher(goods, items, percent, title, is_shown=has_voucher or percent > 0)
    subtotal = total([line.amount for line in (*items, *voucher_lines)], currency)
    tax_lines = [_tax(rule, goods, net, currency) for rule in taxes]
    whole = subtotal + total([line.amount for line in tax_lines if not line.is_inclusive], currency)
    taxed = total([line.amount for line in tax_lines], currency)
    discount = -total([line.amount for line in voucher_lines], currency)
    return Bill((*items, *voucher_lines, *tax_lines), subtotal, taxed, whole, discount)


def offer(selection: Selection, book: PriceBook) -> Offer:
    """What a period holds and costs for somebody in whom the bundle's apps run already. Raises what cannot be sold."""
    check(Selection(selection.plan, selection.add_ons), book)
    items = _goods(selection, book)
    if bundle := book.bundles.get(selection.bundle):
        items.append(_discount(bundle, items[0]))
    return Offer(selection.plan, selection.add_ons, tuple(items), book.version)


def check(selection: Selection, book: PriceBook) -> None:
    """Raises for everything that the book does not sell, with all of it at once."""
    unknown = _unknown(selection, book)
    if unknown:
        refusal, what, _ = unknown[0]
        slugs = ", ".join(slug for _, w, v in unknown if w == what for slug in [v.description])
        raise refusal(what=what, slugs=slugs, violations=tuple(v for _, _, v in unknown))
    _check_plan(book.plans[selection.plan])
    bundled = book.bundles[selection.bundle].apps if selection.bundle else ()
    missing = [slug for slug in dict.fromkeys((*selection.apps, *bundled)) if not _is_deployable(book.apps.get(slug))]
    if missing:
        raise AppNotDeployable(apps=", ".join(missing))


def _unknown(selection: Selection, book: PriceBook) -> list[tuple[type[NotInBook], str, Violation]]:
    asked: list[tuple[type[NotInBook], str, str, str, bool]] = [
        (PlanUnknown, "plan", "selection.plan", selection.plan, selection.plan in book.plans),
        *((AddOnUnknown, "add-on", "selection.add_ons", slug, slug in book.add_ons) for slug in selection.add_ons),
        *((AppUnknown, "app", "selection.apps", slug, slug in book.apps) for slug in selection.apps),
    ]
    if selection.bundle:
        known = selection.bundle in book.bundles
        asked.append((BundleUnknown, "bundle", "selection.bundle", selection.bundle, known))
    return [
        (refusal, what, Violation(field, slug, refusal.reason))
        for refusal, what, field, slug, known in asked
        if not known
    ]


def _check_plan(plan: Plan) -> None:
    if plan.is_metered and not plan.has_rates:
        raise RateUnset(plan=plan.slug)


def _is_deployable(app: App | None) -> bool:
    return app is not None and app.is_deployable


def _goods(selection: Selection, book: PriceBook) -> list[Line]:
    plan, months = book.plans[selection.plan], selection.period_months
    lines = [Line(LineKind.PLAN, plan.slug, plan.title, plan.price * months)]
    for slug in selection.add_ons:
        add_on = book.add_ons[slug]
        amount = add_on.price.zero() if add_on.is_included else add_on.price * months
        lines.append(Line(LineKind.ADD_ON, slug, add_on.title, amount))
    return lines


def _bundle_discount(selection: Selection, book: PriceBook, plan: Line) -> list[Line]:
    bundle = book.bundles.get(selection.bundle)
    if bundle is None or not set(bundle.apps) <= set(selection.apps):
        return []
    return [_discount(bundle, plan)]


def _discount(bundle: Bundle, plan: Line) -> Line:
    off = -plan.amount.share(bundle.discount_bps)
    return Line(LineKind.DISCOUNT, bundle.slug, bundle.title, off, rate_bps=bundle.discount_bps)


def _with_voucher(
    goods: Sequence[Line], reduced: Sequence[Line], percent: int, title: str, *, is_shown: bool
) -> tuple[list[Money], list[Line]]:
    """What each good costs in the end, and the voucher's line. The bundle's discount belongs to the plan."""
    net = [line.amount for line in goods]
    for discount in reduced[len(goods) :]:
        if discount.item == TRIAL:
            net = [amount.zero() for amount in net]
        else:
            net[0] += discount.amount
    if not is_shown:
        return net, []
    whole = total(net, net[0].currency)
    off = -whole.share(percent * 100)
    if off:
        net = [part + cut for part, cut in zip(net, off.split([part.minor for part in net]), strict=True)]
    return net, [Line(LineKind.VOUCHER, "", title or "Voucher", off, rate_bps=percent * 100)]


def _tax(rule: TaxRule, goods: Sequence[Line], net: Sequence[Money], currency: str) -> Line:
    taxed = [amount for line, amount in zip(goods, net, strict=True) if line.kind in (rule.applies_to or _GOODS)]
    amount = total([rule.on(part) for part in taxed], currency)
    return Line(LineKind.TAX, rule.name, rule.name, amount, rate_bps=rule.rate_bps, is_inclusive=rule.is_inclusive)


_GOODS = (LineKind.PLAN, LineKind.ADD_ON)

"""What a selection costs, and what cannot be sold at all."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from catalyst_billing.domain import pricing
from catalyst_billing.domain.pricing import (
    AddOnUnknown,
    AppNotDeployable,
    AppUnknown,
    BundleUnknown,
    LineKind,
    PlanUnknown,
    Priced,
    RateUnset,
    Selection,
    TaxRule,
)
from catalyst_billing.domain.vouchers import Terms
from catalyst_sdk import Refused
from hypothesis import given
from hypothesis import strategies as st

from ..makers import BOOK, omr

HUB = Selection("m", ("daily-backup",), "comms-hub", ("chat", "mail"))


def price(
    selection: Selection,
    *,
    voucher: Terms | None = None,
    taxes: Sequence[TaxRule] = (),
    credit: str = "0",
    step: int = 1,
) -> Priced:
    return pricing.price(selection, BOOK, voucher=voucher, taxes=taxes, credit=omr(credit), step=step)


def lines(priced: Priced) -> list[tuple[str, str, str]]:
    return [(line.kind.value, line.item, str(line.amount).split()[0]) for line in priced.lines]


def test_a_bundle_takes_its_share_off_the_plan() -> None:
    assert lines(price(HUB)) == [
        ("plan", "m", "9.000"),
        ("add_on", "daily-backup", "3.000"),
        ("discount", "comms-hub", "-1.350"),
        ("due", "", "10.650"),
    ]


def test_a_bundle_counts_only_with_all_of_its_apps() -> None:
    assert price(replace(HUB, apps=("chat",))).total == omr("12")


def test_an_included_add_on_costs_nothing() -> None:
    assert lines(price(Selection("m", ("waf",))))[1] == ("add_on", "waf", "0.000")


def test_a_year_is_twelve_months() -> None:
    assert price(Selection("m", ("daily-backup",), period_months=12)).total == omr("144")


def test_credit_is_used_before_the_card() -> None:
    priced = price(Selection("m", ("priority-support",)), credit="4")
    assert (priced.total, priced.credit, priced.due) == (omr("14"), omr("4"), omr("10"))


def test_a_flat_voucher_counts_as_credit_and_no_more_is_used_than_is_owed() -> None:
    priced = price(Selection("l"), voucher=Terms(amount=omr("50"), description="Welcome"))
    assert (priced.credit, priced.due) == (omr("16"), omr("0"))
    assert lines(priced) == [
        ("plan", "l", "16.000"), ("voucher", "", "0.000"), ("credit", "", "-16.000"), ("due", "", "0.000")
    ]  # fmt: skip
    assert priced.lines[1].title == "Welcome"


def test_a_percent_voucher_comes_after_the_bundle() -> None:
    priced = price(HUB, voucher=Terms(percent=10, periods=3))
    assert (priced.discount, priced.total) == (omr("1.065"), omr("9.585"))


def test_a_hundred_percent_leave_nothing() -> None:
    priced = price(HUB, voucher=Terms(percent=100, periods=1))
    assert (priced.total, priced.due, priced.credit) == (omr("0"), omr("0"), omr("0"))


def test_a_percent_of_nothing_is_nothing() -> None:
    free = replace(BOOK, plans={"m": replace(BOOK.plans["m"], price=omr("0"))})
    priced = pricing.price(Selection("m"), free, voucher=Terms(percent=10), taxes=(), credit=omr("0"), step=1)
    assert priced.total == omr("0")


def test_a_tax_on_top_is_added_and_an_inclusive_one_is_not() -> None:
    on_top = price(Selection("m"), taxes=[TaxRule("VAT", 500)])
    assert (on_top.subtotal, on_top.tax, on_top.total) == (omr("9"), omr("0.450"), omr("9.450"))
    within = price(Selection("m"), taxes=[TaxRule("VAT", 500, is_inclusive=True)])
    assert (within.subtotal, within.tax, within.total) == (omr("9"), omr("0.429"), omr("9"))


def test_a_tax_on_add_ons_leaves_the_plan_alone() -> None:
    priced = price(HUB, taxes=[TaxRule("levy", 1000, applies_to=("add_on",))], voucher=Terms(percent=50, periods=1))
    assert priced.tax == omr("0.150")


def test_the_card_part_is_rounded_down_to_the_providers_step() -> None:
    priced = price(HUB, credit="0.003", step=10)
    assert (priced.due, priced.rounding, priced.credit) == (omr("10.640"), omr("0.007"), omr("0.003"))
    assert lines(priced)[-2:] == [("rounding", "", "-0.007"), ("due", "", "10.640")]


@pytest.mark.parametrize(
    ("selection", "refusal", "named"),
    [
        (Selection("huge"), PlanUnknown, ["huge"]),
        (Selection("m", ("free-lunch",)), AddOnUnknown, ["free-lunch"]),
        (Selection("m", apps=("nothing",)), AppUnknown, ["nothing"]),
        (Selection("m", bundle="none"), BundleUnknown, ["none"]),
        (Selection("huge", ("free-lunch", "waf"), "none"), PlanUnknown, ["huge", "free-lunch", "none"]),
    ],
)
def test_what_the_book_does_not_have_is_refused_by_name(
    selection: Selection, refusal: type[Refused], named: list[str]
) -> None:
    with pytest.raises(refusal) as caught:
        price(selection)
    assert [v.description for v in caught.value.violations] == named
    assert named[0] in caught.value.sentence


@pytest.mark.parametrize("selection", [Selection("m", apps=("later",)), Selection("m", bundle="soon")])
def test_an_app_that_is_not_deployable_cannot_be_ordered(selection: Selection) -> None:
    with pytest.raises(AppNotDeployable, match="later"):
        price(selection)


def test_a_bundle_with_an_app_that_left_the_book_cannot_be_ordered() -> None:
    book = replace(BOOK, apps={"chat": BOOK.apps["chat"]})
    with pytest.raises(AppNotDeployable, match="mail"):
        pricing.check(Selection("m", bundle="comms-hub"), book)


def test_a_metered_plan_is_sold_only_while_every_rate_is_set() -> None:
    with pytest.raises(RateUnset):
        price(Selection("flexi"))
    assert price(Selection("rated")).total == omr("0")  # its usage is billed when it was used


def test_a_trial_costs_nothing_and_shows_what_it_would_cost() -> None:
    tried = price(replace(HUB, trial=True), taxes=[TaxRule("VAT", 500)])
    assert lines(tried)[-3:] == [("discount", "trial", "-10.650"), ("tax", "VAT", "0.000"), ("due", "", "0.000")]
    assert tried.total == omr("0")


def test_credit_is_spent_on_the_blueprints_of_the_apps() -> None:
    purpose = pricing.purpose_of(Selection("m", apps=("mail", "chat", "odd")), BOOK)
    assert (purpose.plan, purpose.blueprints) == ("m", ("blueprints/bp-chat", "blueprints/bp-mail"))


@given(
    plan=st.sampled_from("sml"),
    add_ons=st.sets(st.sampled_from(sorted(BOOK.add_ons))),
    bundled=st.booleans(),
    percent=st.integers(0, 100),
    flat=st.integers(1, 40_000),
    bps=st.integers(0, 3000),
    inclusive=st.booleans(),
    credit=st.integers(0, 40_000),
    step=st.sampled_from([1, 5, 10, 100]),
    months=st.sampled_from([1, 12]),
)
def test_the_lines_add_up(
    plan: str, add_ons: set[str], bundled: bool, percent: int, flat: int, bps: int, inclusive: bool, credit: int,
    step: int, months: int,
) -> None:  # fmt: skip
    hub = ("comms-hub", ("chat", "mail")) if bundled else ("", ())
    selection = Selection(plan, tuple(sorted(add_ons)), *hub, period_months=months)
    terms = Terms(percent=percent, periods=1) if percent else Terms(amount=omr("0.001") * flat)
    book_credit = omr("0.001") * credit
    p = pricing.price(
        selection, BOOK, voucher=terms, taxes=[TaxRule("VAT", bps, inclusive)], credit=book_credit, step=step
    )
    signed = [line for line in p.lines if line.kind is not LineKind.DUE and not line.is_inclusive]
    assert sum(line.amount.minor for line in signed) == p.due.minor
    assert p.credit + p.rounding + p.due == p.total
    assert min(p.subtotal.minor, p.tax.minor, p.total.minor, p.credit.minor, p.rounding.minor, p.due.minor) >= 0
    assert p.rounding.minor < step
    assert p.due.minor % step == 0
    assert p.total == p.subtotal + (p.tax.zero() if inclusive else p.tax)

"""The parts of all refunds sum to what was booked: net, tax and rounding, whatever the steps."""

from dataclasses import replace

from catalyst_billing.domain import refunds
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.orders import State
from catalyst_billing.domain.refunds import Wish
from hypothesis import given
from hypothesis import strategies as st

from ..makers import BOOKS, NOON, booked
from .test_purchases import paid_by_card


@given(
    total=st.integers(50, 20_000), tax_bps=st.integers(0, 2500), rounding=st.integers(0, 9),
    shares=st.lists(st.integers(1, 99), min_size=1, max_size=6), to_credit=st.booleans(),
)  # fmt: skip
def test_whatever_the_steps_nothing_of_the_order_stays_in_the_book(
    total: int, tax_bps: int, rounding: int, shares: list[int], to_credit: bool
) -> None:
    tax, card = total * tax_bps // 12_500, total - rounding
    p = paid_by_card()
    order = replace(
        p.order, total=Money(total, "OMR"), tax=Money(tax, "OMR"), rounding=Money(rounding, "OMR"),
        due=Money(card, "OMR"), paid_by_card=Money(card, "OMR"),
    )  # fmt: skip
    p = replace(p, order=order, postings=())
    for share in shares:
        left = refunds.left_of(p, NOON).total
        part = Money(left.minor * share // 100, "OMR")
        if part.is_positive:
            p = refunds.give_back(p, Wish(part, to_credit, "wished"), BOOKS, 1, NOON).state
    if not p.order.refunded:
        return
    p = refunds.give_back(p, Wish(None, to_credit, "wished"), BOOKS, 1, NOON).state
    assert (p.order.state, p.order.refunded.minor) == (State.REFUNDED, card)
    back = {"customer_credit" if to_credit else "psp_clearing": -card}
    whole = {"deferred_revenue": total - tax, "tax_payable": tax, "rounding": -rounding, **back}
    assert booked(p.postings) == {kind: amount for kind, amount in whole.items() if amount}

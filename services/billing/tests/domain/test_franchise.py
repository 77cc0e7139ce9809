"""Shares of a month."""

from datetime import timedelta
from typing import Any

import pytest
from catalyst_billing.domain import franchise
from catalyst_billing.domain.franchise import Agreement, Basis, Booked
from catalyst_billing.domain.ledger import Part
from hypothesis import given
from hypothesis import strategies as st

from ..makers import NOON, omr


def agreement(**changes: Any) -> Agreement:
    values: dict[str, Any] = {
        "id": "ag-1", "sovereign": "sovereigns/home", "valid_from": NOON, "share_bps": 3000, "basis": Basis.GROSS,
        "currency": "OMR", "created_at": NOON, "updated_at": NOON,
    }  # fmt: skip
    return Agreement(**values | changes)


def test_the_example_of_the_specification_to_the_baisa() -> None:
    shares = franchise.split(agreement(), omr("100"), omr("30"))
    assert (shares.publisher, shares.vouchers, shares.franchisee) == (omr("30"), omr("30"), omr("40"))


def test_a_share_of_net_leaves_vouchers_out_first() -> None:
    assert franchise.split(agreement(basis=Basis.NET), omr("100"), omr("30")).publisher == omr("21")


def test_floor_and_cap_bound_the_share() -> None:
    assert franchise.split(agreement(floor=50_000), omr("100"), omr("0")).publisher == omr("50")
    assert franchise.split(agreement(cap=10_000), omr("100"), omr("0")).publisher == omr("10")


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.integers(0, 10_000), st.sampled_from(list(Basis)))
def test_the_parts_are_the_whole(gross: int, vouchers: int, bps: int, basis: Basis) -> None:
    whole, burnt = omr("0") + omr("0.001") * gross, omr("0.001") * vouchers
    shares = franchise.split(agreement(share_bps=bps, basis=basis), whole, burnt)
    assert shares.publisher + shares.franchisee + shares.vouchers == whole


def test_agreements_that_touch_do_not_overlap() -> None:
    first = agreement(valid_to=NOON + timedelta(days=30))
    assert not first.overlaps(agreement(valid_from=NOON + timedelta(days=30)))
    assert first.overlaps(agreement(valid_from=NOON + timedelta(days=29)))
    assert agreement().overlaps(first)
    assert not agreement().overlaps(agreement(sovereign="sovereigns/other"))


def test_voucher_credit_paid_its_part_of_the_tax_too() -> None:
    paid = Booked(omr("100"), omr("5"), (Part("m", omr("100")),), (Part("vouchers/v", omr("21")),))
    back = Booked(omr("-100"), omr("-5"), (Part("m", omr("-100")),), (Part("vouchers/v", omr("-21")),))
    assert (paid.voucher_part, back.voucher_part) == (omr("20"), omr("-20"))


def test_lines_are_by_what_was_sold_and_given_back() -> None:
    lines = franchise.lines([
        Booked(omr("12"), omr("0"), (Part("m", omr("9")), Part("waf", omr("3"))), (Part("vouchers/v", omr("4")),)),
        Booked(omr("9"), omr("0"), (Part("m", omr("9")),), ()),
        Booked(omr("-9"), omr("0"), (Part("m", omr("-9")),), ()),
        Booked(omr("1"), omr("0"), (Part("m", omr("9")),), ()),
    ])  # fmt: skip
    assert [(line.kind.value, line.item, line.count, line.amount.minor) for line in lines] == [
        ("revenue", "m", 2, 18_000), ("revenue", "other", 1, 1000), ("revenue", "waf", 1, 3000),
        ("refund", "m", 1, -9000), ("voucher", "vouchers/v", 1, 4000),
    ]  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
def test_the_document_is_the_same_bytes_however_its_value_was_made(order: int) -> None:
    pairs = [("b", 1), ("a", "ä")][::order]
    assert franchise.document(dict(pairs)) == '{"a":"ä","b":1}'.encode()

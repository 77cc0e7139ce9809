"""The book: what can be written, and what a proof finds."""

from dataclasses import replace

import pytest
from catalyst_billing.domain import ledger, postings
from catalyst_billing.domain.ledger import Account, Entry, Kind, OwnerKind, Txn, Unbalanced
from catalyst_billing.domain.money import Money
from hypothesis import given
from hypothesis import strategies as st

from ..makers import BOOKS, NOON, booked, omr

CASH = Account(OwnerKind.SOVEREIGN, "sovereigns/home", Kind.CASH, "OMR")
COST = Account(OwnerKind.SOVEREIGN, "sovereigns/home", Kind.PROMO_COST, "OMR")
CREDIT = postings.credit_of("acme", "OMR")


def txn(*entries: Entry) -> Txn:
    return Txn("key", "test", NOON, "billing", "why", entries)


def paid(total: str, *, tax: str = "0", credit: str = "0", card: str = "0", rounding: str = "0") -> postings.Paid:
    return postings.Paid(
        "billingAccounts/acme/orders/o-1",
        "acme",
        "",
        "fake",
        omr(total),
        omr(tax),
        omr(credit),
        omr(card),
        omr(rounding),
    )


def test_a_transaction_that_does_not_balance_cannot_exist() -> None:
    with pytest.raises(Unbalanced, match="OMR"):
        txn(Entry(CASH, omr("9")), Entry(COST, omr("-8")))
    with pytest.raises(Unbalanced, match="two"):
        txn()


def test_each_currency_balances_by_itself() -> None:
    euro = Account(OwnerKind.SOVEREIGN, "sovereigns/home", Kind.FX, "EUR")
    with pytest.raises(Unbalanced):
        txn(Entry(CASH, omr("9")), Entry(euro, Money(-9000, "EUR")))


@pytest.mark.parametrize("amount", [omr("0"), Money(1, "EUR")])
def test_an_entry_is_not_zero_and_has_its_accounts_currency(amount: Money) -> None:
    with pytest.raises(ValueError, match="booked"):
        Entry(CASH, amount)


def test_the_same_account_and_the_same_key_have_the_same_id() -> None:
    assert CASH.id == replace(CASH).id != COST.id
    one = txn(Entry(CASH, omr("9")), Entry(COST, omr("-9")))
    assert one.id == replace(one, reason="another").id != replace(one, idem_key="other").id


def test_customers_credit_is_locked_first() -> None:
    assert sorted([CASH, COST, CREDIT], key=lambda a: a.lock_order)[0] == CREDIT


def test_a_reversal_takes_back_every_entry_and_names_the_original() -> None:
    one = txn(Entry(CASH, omr("9")), Entry(COST, omr("-9")))
    back = ledger.reverse(one, idem_key="back", kind="back", booked_at=NOON, actor="billing", reason="wrong")
    assert back.reverses == one.id
    assert booked((one, back)) == {}
    with pytest.raises(ValueError, match="is a reversal"):
        ledger.reverse(back, idem_key="again", kind="again", booked_at=NOON, actor="billing", reason="wrong")


def test_a_plan_paid_by_card_is_owed_to_the_customer() -> None:
    done = postings.order_paid(BOOKS, paid("9", card="9"), NOON)
    assert done is not None
    assert booked((done,)) == {"psp_clearing": 9000, "deferred_revenue": -9000}
    assert done.sovereign == "sovereigns/home"


def test_an_order_of_nothing_books_nothing() -> None:
    assert postings.order_paid(BOOKS, paid("0"), NOON) is None


def test_any_mix_of_credit_card_tax_and_rounding_balances() -> None:
    done = postings.order_paid(BOOKS, paid("14.707", tax="0.707", credit="4", card="10.700", rounding="0.007"), NOON)
    assert done is not None
    assert booked((done,)) == {
        "customer_credit": 4000, "psp_clearing": 10700, "rounding": 7, "deferred_revenue": -14000, "tax_payable": -707
    }  # fmt: skip
    assert booked((done, postings.order_refunded(BOOKS, done, NOON))) == {}


def test_expired_credit_is_breakage() -> None:
    gone = postings.grant_expired(BOOKS, org="acme", grant="cg-1", version=2, amount=omr("3"), at=NOON)
    assert booked((gone,)) == {"customer_credit": 3000, "breakage": -3000}


def test_a_proof_of_a_true_book_finds_nothing() -> None:
    sums = [("lt-1", omr("0"))]
    balances = {CREDIT.id: omr("-9"), CASH.id: omr("9")}
    assert ledger.prove(sums, balances, dict(balances), {CREDIT.id}) == []


def test_a_proof_names_transaction_account_and_both_amounts() -> None:
    found = ledger.prove(
        [("lt-1", omr("0.001"))],
        {CREDIT.id: omr("2"), CASH.id: omr("9")},
        {CREDIT.id: omr("2"), CASH.id: omr("8"), COST.id: omr("1")},
        {CREDIT.id},
    )
    assert {(d.rule, d.account, d.txn, str(d.expected), str(d.found)) for d in found} == {
        ("L1", "", "lt-1", "0.000 OMR", "0.001 OMR"),
        ("L4", CREDIT.id, "", "0.000 OMR", "-2.000 OMR"),
        ("L5", CASH.id, "", "9.000 OMR", "8.000 OMR"),
        ("L5", COST.id, "", "0.000 OMR", "1.000 OMR"),
    }


def test_a_proof_sees_negative_credit_that_only_the_projection_has() -> None:
    assert {d.rule for d in ledger.prove([], {}, {CREDIT.id: omr("2")}, {CREDIT.id})} == {"L4", "L5"}


def test_a_proof_sees_an_account_without_a_projection() -> None:
    (found,) = ledger.prove([], {CASH.id: omr("2")}, {}, set())
    assert (found.rule, found.expected, found.found) == ("L5", omr("2"), omr("0"))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 99), st.integers(0, 10**6))
def test_every_settlement_balances_and_its_refund_undoes_it(credit: int, card: int, rounding: int, tax: int) -> None:
    total = credit + card + rounding
    parts = [Money(n, "OMR") for n in (total, min(tax, total), credit, card, rounding)]
    done = postings.order_paid(BOOKS, postings.Paid("o", "acme", "sovereigns/x", "fake", *parts), NOON)
    if done is None:
        assert total == 0
    else:
        assert booked((done, postings.order_refunded(BOOKS, done, NOON))) == {}

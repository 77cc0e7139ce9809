"""Goodwill is given by one person within the month's limit, by two beyond it; bundles hold only as they were signed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from catalyst_billing.domain import accounts, goodwill, transfers
from catalyst_billing.domain.accounts import AccountClosed, Contact, TaxProfile
from catalyst_billing.domain.goodwill import Goodwill, GoodwillExpired, SecondPersonRequired, State
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.transfers import Bundle, BundleInvalid, Line
from hypothesis import given
from hypothesis import strategies as st

from ..makers import BOOKS, NOON, account, booked, grant, omr, sign

WISH = Goodwill("gw-1", "acme", omr("5"), "outage", None, State.PENDING, "a", NOON, NOON)


@given(st.lists(st.integers(1, 9000), max_size=12), st.integers(0, 20_000))
def test_nobody_alone_gives_more_than_the_limit(wishes: list[int], limit: int) -> None:
    so_far = Money(0, "OMR")
    for n, minor in enumerate(wishes):
        wish = replace(WISH, id=f"gw-{n}", amount=Money(minor, "OMR"))
        decided = goodwill.ask(wish, so_far, Money(limit, "OMR"), BOOKS, NOON).state
        if decided.grant is not None:
            so_far += decided.grant.amount
            assert booked(decided.postings) == {"promo_cost": minor, "customer_credit": -minor}
        else:
            assert decided.goodwill.state is State.PENDING
            assert so_far.minor + minor > limit
        assert so_far.minor <= limit


def test_a_second_person_grants_a_waiting_wish_once_and_within_a_week() -> None:
    with pytest.raises(SecondPersonRequired):
        goodwill.approve(WISH, "a", BOOKS, NOON)
    done = goodwill.approve(replace(WISH, ttl=timedelta(days=1)), "b", BOOKS, NOON).state
    assert done.grant is not None
    assert (done.goodwill.state, done.goodwill.approved_by, done.grant.expires_at) == (
        State.GRANTED, "b", NOON + timedelta(days=1),
    )  # fmt: skip
    assert goodwill.approve(done.goodwill, "a", BOOKS, NOON).state == goodwill.Given(done.goodwill)
    late = NOON + timedelta(days=7)
    assert (WISH.standing(late), done.goodwill.standing(late)) == (State.EXPIRED, State.GRANTED)
    with pytest.raises(GoodwillExpired):
        goodwill.approve(WISH, "b", BOOKS, late)


def test_a_month_begins_at_its_first_midnight() -> None:
    assert goodwill.month_of(datetime(2026, 3, 31, 23, tzinfo=UTC)) == datetime(2026, 3, 1, tzinfo=UTC)


def test_an_account_is_frozen_opened_and_changed_until_it_is_closed() -> None:
    frozen = accounts.freeze(account(), NOON).state
    assert (frozen.state, frozen.version) == (accounts.State.FROZEN, 2)
    assert accounts.freeze(frozen, NOON).state is frozen
    assert accounts.unfreeze(frozen, NOON).state.state is accounts.State.OPEN
    changed = accounts.update(account(), Contact(email="a@b.example"), TaxProfile(), NOON).state
    assert (changed.contact.email, changed.version) == ("a@b.example", 2)
    assert accounts.update(changed, changed.contact, changed.tax, NOON).state is changed
    closed = replace(account(), state=accounts.State.CLOSED)
    for move in (accounts.freeze, accounts.unfreeze):
        with pytest.raises(AccountClosed):
            move(closed, NOON)
    with pytest.raises(AccountClosed):
        accounts.update(closed, Contact(), TaxProfile(), NOON)


def bundle(history: str = "5", *, credit: str = "5", currency: str = "OMR", held: str = "0") -> Bundle:
    given = replace(grant("cg-1", credit), held=omr(held))
    owner = replace(account(), currency=currency)
    line = Line("lt-1.2", omr(history).minor, "voucher", "", NOON)
    return Bundle("sovereigns/one", "sovereigns/home", owner, (given,), (), (line,), NOON)


def test_a_bundle_whose_history_does_not_make_its_credit_is_refused() -> None:
    transfers.check(bundle(), None)
    transfers.check(bundle(), account())
    for wrong in (bundle("4"), bundle(held="1"), bundle(currency="EUR")):
        with pytest.raises(BundleInvalid):
            transfers.check(wrong, None)
    with pytest.raises(BundleInvalid, match="kept in EUR"):
        transfers.check(bundle(), replace(account(), currency="EUR"))


def tampered(sealed: bytes) -> bytes:
    outer = json.loads(sealed)
    return json.dumps({**outer, "body": outer["body"].replace("1", "2")}).encode()


def test_a_bundle_is_opened_by_whom_it_is_for_and_only_as_it_was_signed() -> None:
    body = {"source": "sovereigns/one", "target": "sovereigns/home", "n": 1}
    sealed, keys = transfers.seal(body, sign), {"sovereigns/one": lambda m, s: sign(m) == s}
    assert transfers.unseal(sealed, "sovereigns/home", keys) == body
    cases = [
        (sealed, "sovereigns/other", keys, "it is for sovereigns/home"), (sealed, "sovereigns/home", {}, "not trusted"),
        (tampered(sealed), "sovereigns/home", keys, "signature"),
        (sealed.replace(b"account/1", b"account/2"), "sovereigns/home", keys, "format"),
        (b"[]", "sovereigns/home", keys, "read"),
    ]  # fmt: skip
    for presented, here, trusted, why in cases:
        with pytest.raises(BundleInvalid, match=why):
            transfers.unseal(presented, here, trusted)
    assert transfers.import_id("a", "b") != transfers.import_id("a", "c")
    assert len(transfers.digest_of(sealed)) == 64
    assert transfers.Imported("x", "a", "b", "", (), NOON).name == "imports/x"

"""One account per Organization."""

from dataclasses import replace

import pytest
from catalyst_billing.domain.accounts import AccountClosed, AccountFrozen, CurrencyMismatch, State, ensure
from catalyst_billing.domain.money import CurrencyUnsupported

from ..makers import NOON, account


def test_the_first_use_opens_an_account_in_the_sovereigns_currency() -> None:
    opened = ensure(None, org="acme", uid="u", currency="", default="OMR", now=NOON).state
    assert (opened.name, opened.currency, opened.version) == ("billingAccounts/acme", "OMR", 1)
    assert ensure(None, org="acme", uid="u", currency="EUR", default="OMR", now=NOON).state.currency == "EUR"


def test_a_second_use_finds_it() -> None:
    known = account()
    assert ensure(known, org="acme", uid="other", currency="OMR", default="EUR", now=NOON).state is known
    assert ensure(known, org="acme", uid="other", currency="", default="EUR", now=NOON).state is known


def test_an_account_is_kept_in_one_currency() -> None:
    with pytest.raises(CurrencyMismatch):
        ensure(account(), org="acme", uid="u", currency="EUR", default="OMR", now=NOON)
    for known in (None, account()):
        with pytest.raises(CurrencyUnsupported):
            ensure(known, org="acme", uid="u", currency="XAU", default="OMR", now=NOON)


def test_a_closed_account_is_not_opened_again() -> None:
    closed = replace(account(), state=State.CLOSED)
    with pytest.raises(AccountClosed):
        ensure(closed, org="acme", uid="u", currency="", default="OMR", now=NOON)
    with pytest.raises(AccountClosed):
        closed.require_open()


def test_a_frozen_account_spends_nothing() -> None:
    with pytest.raises(AccountFrozen):
        replace(account(), state=State.FROZEN).require_open()
    account().require_open()

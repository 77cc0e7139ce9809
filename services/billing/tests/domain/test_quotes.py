"""A quote stays as it was signed."""

from dataclasses import replace

import pytest
from catalyst_billing.domain import quotes
from catalyst_billing.domain.quotes import Quote, QuoteExpired, QuoteInvalid

from ..makers import HALF_HOUR, NOON, omr, quote, sign, voucher


def test_a_quote_is_good_until_its_last_moment_but_one() -> None:
    q = quote()
    quotes.check(q, q.hash, NOON, sign)
    with pytest.raises(QuoteExpired, match="2026-01-01T12:30:00Z"):
        quotes.check(q, q.hash, NOON + HALF_HOUR, sign)


@pytest.mark.parametrize(
    "tampered",
    [
        lambda q: replace(q, priced=replace(q.priced, due=q.priced.due - omr("0.001"))),
        lambda q: replace(q, org="other"),
        lambda q: replace(q, voucher="v-2"),
        lambda q: replace(q, expires_at=NOON + HALF_HOUR * 9),
        lambda q: replace(q, selection=replace(q.selection, sovereign="sovereigns/other")),
    ],
)
def test_a_quote_edited_by_one_baisa_is_invalid(tampered: object) -> None:
    q = quote(voucher=voucher())
    bad: Quote = tampered(q)  # type: ignore[operator]
    with pytest.raises(QuoteInvalid, match="hash"):
        quotes.check(bad, q.hash, NOON, sign)
    with pytest.raises(QuoteInvalid, match="signature"):
        quotes.check(bad, bad.hash, NOON, sign)


def test_a_quote_of_another_key_is_invalid() -> None:
    q = replace(quote(), signature=b"forged")
    with pytest.raises(QuoteInvalid, match="signature"):
        quotes.check(q, q.hash, NOON, sign)


def test_a_quote_is_used_once() -> None:
    q = quotes.use(quote(), "o-1")
    with pytest.raises(QuoteInvalid, match="already"):
        quotes.check(q, q.hash, NOON, sign)
    assert (q.name, q.version) == ("billingAccounts/acme/quotes/q-1", 2)

"""Events of providers, disputes and settings of providers: the pure part."""

from dataclasses import replace
from datetime import timedelta

from catalyst_billing.domain import disputes, providers, webhooks
from catalyst_billing.domain.disputes import State, Told
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.payments import Payment, PaymentState
from catalyst_billing.domain.providers import Change, Method, ProviderSecret
from catalyst_billing.domain.webhooks import EventState, ProviderEvent
from hypothesis import given
from hypothesis import strategies as st

from ..makers import BOOKS, NOON, booked, omr

EVENT = ProviderEvent("fake", "e-1", "x", "payment.captured", "p", "c", "", b"", EventState.WAITING, NOON, NOON)
PAYMENT = Payment("fake", "fp-1", "o-1", "acme", omr("9"), PaymentState.SETTLED, NOON)


def test_an_event_is_tried_later_each_time_and_put_aside_after_the_twentieth() -> None:
    event, pauses = EVENT, []
    while event.state is EventState.WAITING:
        event = webhooks.failed(event, "away", NOON)
        pauses.append(event.next_at - NOON)
    assert (event.state, len(pauses)) == (EventState.DEAD, 20)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(seconds=5), timedelta(hours=1))


def test_an_event_that_is_handled_has_no_trouble_any_more() -> None:
    done = webhooks.handled(webhooks.failed(EVENT, "away", NOON), NOON)
    assert (done.state, done.trouble, done.handled_at, done.version) == (EventState.HANDLED, "", NOON, 3)


@given(st.lists(st.sampled_from(State), max_size=6), st.integers(0, 9000), st.integers(1, 12_000))
def test_whatever_is_told_in_whatever_order_no_more_is_lost_than_is_left(
    told: list[State], left: int, amount: int
) -> None:
    known, lost, books = None, None, []
    for state in told:
        wish = Told("d-1", Money(amount, "OMR"), state)
        decided = disputes.decide(known, wish, PAYMENT, Money(left, "OMR"), lost, BOOKS, NOON).state
        known = decided.dispute
        books += decided.postings
        lost = next((t for t in books if t.idem_key == known.loss), None) if known.state is State.LOST else None
        sums = booked(tuple(books))
        assert sums.get("receivable", 0) == -sums.get("psp_clearing", 0)
        assert 0 <= sums.get("receivable", 0) <= min(left, amount)
        assert known.withholds == (omr("0") if state is State.WON else known.amount)
    assert len({txn.idem_key for txn in books}) == len(books)


def test_a_loss_beyond_what_is_left_is_found_and_only_the_rest_is_booked() -> None:
    told = Told("d-1", omr("9"), State.LOST)
    decided = disputes.decide(None, told, replace(PAYMENT, order=""), omr("4"), None, BOOKS, NOON).state
    assert booked(decided.postings) == {"receivable": 4000, "psp_clearing": -4000}
    assert [f.reason for f in decided.findings] == ["DISPUTE_LOST", "DISPUTE_EXCEEDS"]
    assert decided.findings[0].subject == decided.dispute.name


def test_what_a_bank_asks_for_counts_as_it_is_told_last() -> None:
    won = disputes.decide(None, Told("d-1", omr("9"), State.WON), PAYMENT, omr("9"), None, BOOKS, NOON).state.dispute
    again = Told("d-1", omr("4"), State.LOST)  # after a refund of 5
    decided = disputes.decide(won, again, PAYMENT, omr("4"), None, BOOKS, NOON).state
    assert (decided.dispute.amount, decided.dispute.booked) == (omr("4"), omr("4"))
    assert [f.reason for f in decided.findings] == ["DISPUTE_LOST"]


def test_settings_that_are_not_named_stay_and_those_set_to_nothing_go() -> None:
    first = providers.changed(None, "fake", "uid", Change(config={"a": 1, "b": 2}), NOON)
    assert (first.is_enabled, first.version, first.name) == (True, 1, "providers/fake")
    second = providers.changed(first, "fake", "other", Change(enabled=False, values={"a": None, "c": 3}), NOON)
    assert (second.config, second.is_enabled, second.uid, second.version) == ({"b": 2, "c": 3}, False, "uid", 2)


def test_of_a_short_secret_nothing_is_shown() -> None:
    secret = ProviderSecret("fake", "key", NOON)
    assert not secret.is_configured
    assert secret.becoming(NOON, sealed=b"x", value="short").last_four == ""
    assert secret.becoming(NOON, sealed=b"x", value="long enough 1234").last_four == "1234"
    assert secret.becoming(NOON, secret_ref="file").is_configured


def test_of_saved_methods_the_newest_counts() -> None:
    old = Method("acme", "fake", "fm-1", "c", "visa 4242", NOON, NOON)
    later = NOON + timedelta(days=1)
    new = Method("acme", "fake", "fm-2", "c", "visa 1881", later, later)
    assert providers.saved(None, old) is old
    assert providers.saved(old, replace(old, updated_at=later)) is old
    assert providers.saved(old, new) == replace(new, created_at=NOON, version=2)
    assert providers.Reconciled("fake", NOON).name == "reconciled/fake"

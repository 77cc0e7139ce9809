"""From a quote to a settlement, or back to nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest
from catalyst_billing.domain import (
    fulfilment,
    invoices,
    orders,
    payments,
    purchases,
    refunds,
    settlements,
    submissions,
    subscriptions,
    uses,
)
from catalyst_billing.domain.accounts import NOBODY as NOBODY_S
from catalyst_billing.domain.accounts import AccountFrozen
from catalyst_billing.domain.accounts import State as AccountState
from catalyst_billing.domain.credit import CreditInsufficient, Granted, HoldState, Wallet
from catalyst_billing.domain.disputes import Dispute
from catalyst_billing.domain.disputes import State as DisputeState
from catalyst_billing.domain.fulfilment import Failing
from catalyst_billing.domain.invoices import InvoiceLine, LineKind, Series
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.moves import IllegalTransition
from catalyst_billing.domain.orders import Command, OrderOpen, PaymentUnavailable, SovereignTaken, SubscriptionActive
from catalyst_billing.domain.orders import State as OrderState
from catalyst_billing.domain.payments import Capture, CheckoutState, PaymentState, RefundState
from catalyst_billing.domain.periods import Span
from catalyst_billing.domain.pricing import Selection
from catalyst_billing.domain.purchases import Purchase, Rivals
from catalyst_billing.domain.submissions import Desk, Submit
from catalyst_billing.domain.uses import Tally, VoucherExhausted, VoucherNeedsOrder
from catalyst_billing.domain.vouchers import Voucher
from catalyst_sdk import Decision

from ..makers import BOOKS, HALF_HOUR, NOBODY, NOON, account, booked, grant, omr, quote, sign, voucher, wallet, wish

HOME = "sovereigns/omantel"
LATE = NOON + HALF_HOUR + timedelta(seconds=1)


def submit(
    selection: Selection | None = None, *, credit: Wallet | None = None, v: Voucher | None = None, step: int = 1,
    rivals: Rivals | None = None, provider: str = "fake", tally: Tally = NOBODY,
) -> Decision[Purchase]:  # fmt: skip
    money = credit or wallet()
    q = quote(selection=selection, credit=str(money.available(NOON)).split()[0], voucher=v, step=step)
    desk = Desk(account(), money, q, v, tally, rivals or Rivals())
    return submissions.submit(desk, Submit("o-1", q.hash, provider), BOOKS, sign, NOON)


def captured(amount: str = "9", ref: str = "pay-1", currency: str = "OMR") -> Capture:
    return Capture(ref, Money(omr(amount).minor, currency), NOON)


def paid_by_card(selection: Selection | None = None) -> Purchase:
    return settlements.capture(submit(selection).state, captured(), BOOKS, NOON).state


def facts(decision: Decision[Purchase]) -> list[str]:
    return [f"{type(fact).__module__.rsplit('.', 1)[1]}.{type(fact).__name__}" for fact in decision.events]


def test_an_order_by_card_waits_for_its_payment() -> None:
    decided = submit()
    p = decided.state
    assert (p.order.state, p.order.due, p.order.provider) == (OrderState.AWAITING_PAYMENT, omr("9"), "fake")
    assert p.checkout is not None
    assert (p.checkout.state, p.checkout.amount) == (CheckoutState.WANTED, omr("9"))
    assert (facts(decided), p.postings) == (["orders.Created"], ())


def test_a_plan_by_card_is_booked_once_and_told_once() -> None:
    decided = settlements.capture(submit().state, captured(), BOOKS, NOON)
    p = decided.state
    assert booked(p.postings) == {"psp_clearing": 9000, "deferred_revenue": -9000}
    assert (p.order.state, p.order.paid_by_card) == (OrderState.PAID, omr("9"))
    assert facts(decided) == ["orders.Received", "orders.Paid", "subscriptions.Activated"]
    again = settlements.capture(p, captured(), BOOKS, NOON)
    assert (again.state, again.events) == (p, ())


def test_an_order_that_credit_covers_is_settled_at_once_without_a_provider() -> None:
    decided = submit(Selection("l"), v=voucher(), provider="")
    p = decided.state
    assert booked(p.postings) == {"promo_cost": 50000, "customer_credit": -34000, "deferred_revenue": -16000}
    assert (p.order.state, p.checkout, p.wallet.available(NOON)) == (OrderState.PAID, None, omr("34"))
    assert facts(decided) == [
        "orders.Created", "uses.Reserved", "uses.Confirmed", "credit.Granted", "orders.Paid", "subscriptions.Activated"
    ]  # fmt: skip
    assert [order.version for order in (decided.events[0].order, decided.events[4].order)] == [1, 2]  # type: ignore[attr-defined]


def test_credit_and_card_settle_together() -> None:
    waiting = submit(Selection("m", ("priority-support",)), credit=wallet(grant("a", "4"))).state
    assert (waiting.order.due, waiting.wallet.available(NOON), waiting.wallet.held) == (omr("10"), omr("0"), omr("4"))
    p = settlements.capture(waiting, captured("10"), BOOKS, NOON).state
    assert booked(p.postings) == {"customer_credit": 4000, "psp_clearing": 10000, "deferred_revenue": -14000}
    assert p.wallet.held == omr("0")


def test_a_flat_voucher_on_an_order_of_nothing_is_credit_afterwards() -> None:
    free = replace(quote(voucher=voucher()), priced=replace(quote().priced, total=omr("0"), due=omr("0")))
    free = replace(free, signature=sign(free.hash.encode()))
    desk = Desk(account(), wallet(), free, voucher(), NOBODY, Rivals())
    p = submissions.submit(desk, Submit("o-1", free.hash, ""), BOOKS, sign, NOON).state
    assert (p.order.state, p.wallet.available(NOON)) == (OrderState.PAID, omr("50"))


def test_a_discount_settles_without_a_grant() -> None:
    p = submit(v=voucher(amount=None, percent=100, periods=1)).state
    assert (p.order.state, p.postings, p.use and p.use.state) == (OrderState.PAID, (), uses.UseState.CONFIRMED)


def test_credit_that_was_quoted_and_spent_meanwhile_is_not_enough() -> None:
    q = quote(credit="9")
    desk = Desk(account(), wallet(grant("a", "8")), q, None, NOBODY, Rivals())
    with pytest.raises(CreditInsufficient):
        submissions.submit(desk, Submit("o-1", q.hash, "fake"), BOOKS, sign, NOON)


def test_a_card_order_without_a_provider_is_refused() -> None:
    with pytest.raises(PaymentUnavailable, match=r"9\.000 OMR"):
        submit(provider="")


def test_a_frozen_account_orders_nothing() -> None:
    q = quote()
    desk = Desk(replace(account(), state=AccountState.FROZEN), wallet(), q, None, NOBODY, Rivals())
    with pytest.raises(AccountFrozen):
        submissions.submit(desk, Submit("o-1", q.hash, "fake"), BOOKS, sign, NOON)


@pytest.mark.parametrize(
    ("selection", "rivals", "refusal"),
    [
        (Selection("m"), Rivals(open_order="billingAccounts/acme/orders/o-0"), OrderOpen),
        (Selection("m"), Rivals(scope_taken=True), SubscriptionActive),
        (Selection("m", sovereign=HOME), Rivals(scope_taken=True), SovereignTaken),
        (Selection("m", sovereign=HOME), Rivals(sovereign_taken=True), SovereignTaken),
    ],
)
def test_what_stands_in_the_way_of_an_order_is_said(
    selection: Selection, rivals: Rivals, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        submit(selection, rivals=rivals)


@pytest.mark.parametrize(
    ("command", "state", "word"),
    [
        (Command.CANCEL, OrderState.CANCELLED, "cancelled"),
        (Command.EXPIRE, OrderState.EXPIRED, "expired"),
        (Command.FAIL, OrderState.FAILED, "failed"),
    ],
)
def test_an_unpaid_end_releases_everything(command: Command, state: OrderState, word: str) -> None:
    waiting = submit(Selection("m", sovereign=HOME), credit=wallet(grant("a", "4")), v=voucher(amount="1")).state
    decided = purchases.release(waiting, command, "PAYMENT_DECLINED", NOON)
    p = decided.state
    assert (p.order.state, p.order.claims_sovereign, p.wallet.available(NOON)) == (state, False, omr("4"))
    assert p.use is not None
    assert p.checkout is not None
    assert (p.use.state, p.checkout.state, p.postings) == (uses.UseState.RELEASED, CheckoutState.CLOSING, ())
    assert isinstance(decided.events[1], uses.Released)
    assert decided.events[1].why == word
    assert p.order.failure_reason == ("PAYMENT_DECLINED" if command is Command.FAIL else "")


def test_a_decline_for_good_fails_the_order_and_tells_both_in_order() -> None:
    decided = purchases.decline(submit().state, "PAYMENT_DECLINED", "card_declined", NOON)
    assert (decided.state.order.state, decided.state.order.failure_reason) == (OrderState.FAILED, "PAYMENT_DECLINED")
    assert [(type(f).__name__, f.order.version) for f in decided.events] == [("Declined", 2), ("Failed", 3)]  # type: ignore[attr-defined]


def test_a_paid_order_cannot_be_cancelled() -> None:
    with pytest.raises(
        IllegalTransition, match="PAID; cancel is not possible then, only: fulfil, refund, refund a part, start"
    ):
        purchases.release(paid_by_card(), Command.CANCEL, "requested", NOON)


@pytest.mark.parametrize(("amount", "currency"), [("8.999", "OMR"), ("9.001", "OMR"), ("9", "KWD")])
def test_a_capture_of_another_amount_settles_nothing_and_goes_back(amount: str, currency: str) -> None:
    p = settlements.capture(submit().state, captured(amount, currency=currency), BOOKS, NOON).state
    assert (p.order.state, p.order.failure_reason, p.postings) == (OrderState.FAILED, "AMOUNT_MISMATCH", ())
    assert [(f.reason, f.severity.value) for f in p.findings] == [("AMOUNT_MISMATCH", "critical")]
    assert [(r.to_card, r.payment, r.state) for r in p.refunds] == [
        (Money(omr(amount).minor, currency), "pay-1", RefundState.PENDING)
    ]
    assert p.payments[0].state is PaymentState.RETURNED


def test_a_second_capture_goes_back() -> None:
    p = settlements.capture(paid_by_card(), captured(ref="pay-2"), BOOKS, NOON).state
    assert (p.order.state, [f.reason for f in p.findings]) == (OrderState.PAID, ["PAID_TWICE"])
    assert [(r.payment, r.to_card) for r in p.refunds] == [("pay-2", omr("9"))]


def test_a_capture_after_a_refund_goes_back() -> None:
    refunded = purchases.refund(paid_by_card(), "broken", BOOKS, NOON).state
    p = settlements.capture(refunded, captured(ref="pay-2"), BOOKS, NOON).state
    assert [f.reason for f in p.findings] == ["PAID_TOO_LATE"]


@pytest.mark.parametrize("command", [Command.EXPIRE, Command.CANCEL])
def test_a_late_capture_settles_if_everything_can_be_had_again(command: Command) -> None:
    waiting = submit(credit=wallet(grant("a", "4")), v=voucher(amount="1")).state
    ended = purchases.release(waiting, command, "", NOON + HALF_HOUR).state
    decided = settlements.capture(ended, captured("4"), BOOKS, LATE)
    p = decided.state
    assert (p.order.state, p.refunds) == (OrderState.PAID, ())
    assert booked(p.postings) == {
        "psp_clearing": 4000, "customer_credit": 4000, "promo_cost": 1000, "deferred_revenue": -9000
    }  # fmt: skip
    assert facts(decided)[0] == "uses.Reserved"


def test_a_capture_just_past_the_deadline_settles_before_any_sweeper() -> None:
    waiting = submit(Selection("m", ("priority-support",)), credit=wallet(grant("a", "4"))).state
    p = settlements.capture(waiting, captured("10"), BOOKS, LATE).state
    assert p.order.state is OrderState.PAID
    hold = p.wallet.hold_of("o-1")
    assert hold is not None
    assert hold.state is HoldState.CAPTURED


def test_a_late_capture_goes_back_when_the_credit_is_gone() -> None:
    waiting = submit(Selection("m", ("priority-support",)), credit=wallet(grant("a", "4"))).state
    spent = replace(waiting, wallet=replace(waiting.wallet.lapse(LATE), grants=()))
    decided = settlements.capture(spent, captured("10"), BOOKS, LATE)
    p = decided.state
    assert (p.order.state, p.postings) == (OrderState.EXPIRED, ())
    assert [(r.to_card, r.why) for r in p.refunds] == [(omr("10"), "unsettled")]
    assert [f.reason for f in p.findings] == ["LATE_CAPTURE_RETURNED"]
    assert facts(decided) == ["orders.Expired"]


def test_a_late_capture_goes_back_when_the_sovereign_is_taken() -> None:
    ended = purchases.release(submit(Selection("m", sovereign=HOME)).state, Command.EXPIRE, "", LATE).state
    p = settlements.capture(replace(ended, rivals=Rivals(sovereign_taken=True)), captured(), BOOKS, LATE).state
    assert (p.order.state, len(p.refunds)) == (OrderState.EXPIRED, 1)


def test_a_late_capture_of_another_amount_goes_back() -> None:
    ended = purchases.release(submit().state, Command.CANCEL, "", NOON).state
    p = settlements.capture(ended, captured("8"), BOOKS, LATE).state
    assert (p.order.state, [f.reason for f in p.findings]) == (OrderState.CANCELLED, ["AMOUNT_MISMATCH"])


def test_a_capture_in_time_settles_whatever_came_to_stand_beside_it() -> None:
    waiting = replace(submit(Selection("m", sovereign=HOME)).state, rivals=Rivals(scope_taken=True))
    assert settlements.capture(waiting, captured(), BOOKS, NOON).state.order.state is OrderState.PAID


def test_credit_of_a_hold_that_lapsed_is_free_for_the_next_order() -> None:
    stale = submit(Selection("m", ("priority-support",)), credit=wallet(grant("a", "4"))).state.wallet
    q = quote("q-2", credit="4", now=LATE)
    desk = Desk(account(), stale, q, None, NOBODY, Rivals())
    p = submissions.submit(desk, Submit("o-2", q.hash, "fake"), BOOKS, sign, LATE).state
    assert (p.order.credit, p.wallet.held) == (omr("4"), omr("4"))


def test_a_refund_goes_back_to_where_the_money_came_from() -> None:
    waiting = submit(Selection("m", ("priority-support",)), credit=wallet(grant("a", "4"))).state
    paid = replace(settlements.capture(waiting, captured("10"), BOOKS, NOON).state, postings=())
    decided = purchases.refund(paid, "run failed", BOOKS, NOON)
    p = decided.state
    assert booked(p.postings) == {"customer_credit": -4000, "psp_clearing": -10000, "deferred_revenue": 14000}
    assert [(r.to_card, r.to_credit, r.payment) for r in p.refunds] == [(omr("10"), omr("4"), "pay-1")]
    assert (p.order.state, p.order.refunded, p.wallet.available(NOON)) == (OrderState.REFUNDED, omr("14"), omr("4"))
    assert facts(decided) == ["orders.Refunded", "subscriptions.Cancelled"]
    with pytest.raises(IllegalTransition, match="only: nothing"):
        purchases.refund(p, "again", BOOKS, NOON)


def test_a_refund_of_expired_credit_comes_as_goodwill() -> None:
    ends = NOON + timedelta(days=1)
    paid = submit(credit=wallet(grant("a", "9", expires_at=ends))).state
    decided = purchases.refund(paid, "run failed", BOOKS, ends)
    assert [type(fact) for fact in decided.events] == [orders.Refunded, Granted, subscriptions.Cancelled]
    assert [r.state for r in decided.state.refunds] == [RefundState.SUCCEEDED]


def test_a_refund_of_nothing_books_nothing() -> None:
    p = purchases.refund(submit(v=voucher(amount=None, percent=100, periods=1)).state, "failed", BOOKS, NOON).state
    assert (p.order.state, p.postings) == (OrderState.REFUNDED, ())


def test_a_subscription_ends_once() -> None:
    ended = purchases.end_subscription(paid_by_card(), "destroyed", BOOKS, NOON).state
    assert purchases.end_subscription(ended, "destroyed", BOOKS, NOON) == Decision(ended)
    assert purchases.end_subscription(submit().state, "destroyed", BOOKS, NOON).events == ()
    assert ended.subscription is not None
    assert subscriptions.cancel(ended.subscription, NOON) is ended.subscription


def test_a_metered_subscription_that_ends_with_its_order_still_owes_what_was_used() -> None:
    p = paid_by_card()
    assert p.subscription is not None
    used = InvoiceLine(LineKind.USAGE, "vcpu_hours", "Usage", omr("4"))
    bill = invoices.draft("in-1", "acme", [used], currency="OMR", now=NOON, subscription=p.subscription.id)
    unpaid, _ = invoices.finalise(bill, Series("INV", 2026, 0), NOBODY_S, NOON)
    held = replace(p, is_metered=True, open_invoice=unpaid, postings=())
    gone = purchases.end_subscription(held, "destroyed", BOOKS, LATE).state
    assert gone.subscription is not None
    assert (gone.subscription.last, booked(gone.postings)) == (Span(NOON, LATE), {"receivable": -4000, "revenue": 4000})
    given_back = purchases.end_subscription(held, "refunded", BOOKS, LATE).state.subscription
    assert given_back is not None
    assert (given_back.last, given_back.wake_at) == (None, None)


def for_home() -> Purchase:
    return paid_by_card(Selection("m", sovereign=HOME))


def test_activated_before_or_after_started_and_three_times_fulfils_once() -> None:
    p = for_home()
    once = fulfilment.activated(p, HOME, NOON).state
    assert once.order.state is OrderState.FULFILLED
    for again in (fulfilment.activated(once, HOME, NOON), fulfilment.started(once, HOME, NOON)):
        assert again.state is once
    running = fulfilment.started(p, HOME, NOON).state
    assert running.order.state is OrderState.FULFILLING
    assert fulfilment.started(running, HOME, NOON).state is running
    assert fulfilment.activated(running, HOME, NOON).state.order.state is OrderState.FULFILLED


@pytest.mark.parametrize("reach", [lambda p: p, lambda p: fulfilment.started(p, HOME, NOON).state])
def test_a_run_that_failed_for_good_is_refunded_once(reach: object) -> None:
    p: Purchase = reach(for_home())  # type: ignore[operator]
    refunded = fulfilment.given_up(p, HOME, "run failed", BOOKS, 1, NOON).state
    assert (refunded.order.state, refunded.order.claims_sovereign) == (OrderState.REFUNDED, False)
    assert fulfilment.given_up(refunded, HOME, "run failed", BOOKS, 1, NOON).state is refunded


def test_a_failure_after_fulfilment_or_of_another_sovereign_changes_nothing() -> None:
    done = fulfilment.activated(for_home(), HOME, NOON).state
    assert fulfilment.given_up(done, HOME, "run failed", BOOKS, 1, NOON).state is done
    paid = for_home()
    assert fulfilment.given_up(paid, "sovereigns/other", "run failed", BOOKS, 1, NOON).state is paid


def test_a_destroyed_sovereign_ends_its_subscription() -> None:
    done = fulfilment.activated(for_home(), HOME, NOON).state
    decided = fulfilment.destroyed(done, HOME, BOOKS, 1, NOON)
    assert (decided.state.order.state, decided.state.order.claims_sovereign) == (OrderState.FULFILLED, False)
    assert facts(decided) == ["subscriptions.Cancelled"]
    assert fulfilment.destroyed(decided.state, HOME, BOOKS, 1, NOON) == Decision(decided.state)


def test_a_sovereign_destroyed_before_it_stood_is_refunded() -> None:
    p = fulfilment.destroyed(for_home(), HOME, BOOKS, 1, NOON).state
    assert (p.order.state, p.refunds[0].why) == (OrderState.REFUNDED, "destroyed")


@pytest.mark.parametrize("told", [fulfilment.started, fulfilment.activated])
def test_work_on_an_order_that_is_not_paid_becomes_a_finding(told: object) -> None:
    refunded = purchases.refund(for_home(), "failed", BOOKS, NOON).state
    for p, sovereign in ((refunded, HOME), (for_home(), "sovereigns/other"), (paid_by_card(), HOME)):
        found: Purchase = told(p, sovereign, NOON).state  # type: ignore[operator]
        assert [f.reason for f in found.findings] == ["ORDER_NOT_PAID"]
        assert found.order is p.order


def test_a_voucher_is_redeemed_without_an_order() -> None:
    decided = submissions.redeem(account(), wallet(), voucher(), NOBODY, wish(order=""), BOOKS, NOON)
    r = decided.state
    assert (r.wallet.available(NOON), booked(r.postings)) == (
        omr("50"), {"promo_cost": 50000, "customer_credit": -50000}
    )  # fmt: skip
    assert [type(fact) for fact in decided.events] == [uses.Reserved, uses.Confirmed, Granted]


def test_a_discount_needs_an_order() -> None:
    percent = voucher(amount=None, percent=10, periods=1)
    with pytest.raises(VoucherNeedsOrder):
        submissions.redeem(account(), wallet(), percent, NOBODY, wish(order=""), BOOKS, NOON)


def test_an_exhausted_voucher_stops_the_whole_submission() -> None:
    with pytest.raises(VoucherExhausted):
        submit(v=voucher(max_total=1), tally=Tally(confirmed=1))


def test_a_checkout_lives_until_the_provider_has_closed_it() -> None:
    p = submit().state
    assert p.checkout is not None
    opened = payments.opened(p.checkout, "cs-1", "https://pay.example/cs-1", next_at=LATE, now=NOON)
    assert (opened.state, opened.url, opened.next_at) == (CheckoutState.OPEN, "https://pay.example/cs-1", LATE)
    closing = payments.given_up(opened, NOON)
    assert (closing.state, payments.given_up(closing, LATE)) == (CheckoutState.CLOSING, closing)
    assert payments.opened(closing, "cs-1", "", next_at=LATE, now=NOON).state is CheckoutState.CLOSING
    closed = payments.closed(closing, LATE)
    assert payments.closed(closed, LATE) is payments.given_up(closed, LATE) is closed


def test_failed_calls_are_counted_until_one_works() -> None:
    p = submit().state
    assert p.checkout is not None
    troubled = payments.asked(p.checkout, next_at=LATE, now=NOON, trouble="timeout")
    assert (troubled.tries, troubled.trouble) == (1, "timeout")
    assert payments.asked(troubled, next_at=LATE, now=NOON).tries == 0
    (refund,) = purchases.refund(paid_by_card(), "failed", BOOKS, NOON).state.refunds
    assert payments.tried(refund, state=RefundState.PENDING, next_at=LATE, now=NOON).tries == 1
    assert payments.tried(refund, state=RefundState.SUCCEEDED, next_at=LATE, now=NOON).tries == 0


def test_what_is_disputed_when_a_run_fails_goes_back_once_the_dispute_is_won() -> None:
    paid = paid_by_card(Selection("m", sovereign=HOME))
    opened = Dispute("fake", "d-1", "pay-1", "o-1", "acme", omr("9"), omr("0"), DisputeState.OPENED, NOON, NOON)
    decided = fulfilment.given_up(replace(paid, disputes=(opened,)), HOME, "run failed", BOOKS, 1, NOON)
    done = decided.state
    assert (done.refunds, done.order.claims_sovereign, facts(decided)) == ((), False, ["subscriptions.Cancelled"])
    assert fulfilment.given_up(done, HOME, "run failed", BOOKS, 1, NOON).state is done
    assert fulfilment.disputed(done, opened, BOOKS, 1, NOON).state is done
    won = replace(opened, state=DisputeState.WON)
    given = fulfilment.disputed(replace(done, disputes=(won,)), won, BOOKS, 1, NOON).state
    assert ([refund.to_card for refund in given.refunds], given.order.state) == ([omr("9")], OrderState.REFUNDED)
    assert fulfilment.disputed(given, won, BOOKS, 1, NOON).state is given
    assert fulfilment.disputed(paid, won, BOOKS, 1, NOON).state is paid


def test_of_an_order_refunded_in_part_the_rest_goes_back_unless_it_was_fulfilled() -> None:
    part = refunds.give_back(for_home(), refunds.Wish(omr("4"), False, "wished"), BOOKS, 1, NOON).state
    assert part.order.state is OrderState.PARTIALLY_REFUNDED
    rest = fulfilment.given_up(part, HOME, "run failed", BOOKS, 1, NOON)
    assert ([r.to_card for r in rest.state.refunds], rest.state.order.state) == (
        [omr("4"), omr("5")], OrderState.REFUNDED
    )  # fmt: skip
    assert facts(rest) == ["orders.Refunded", "subscriptions.Cancelled"]
    stood = fulfilment.activated(part, HOME, NOON).state
    assert (stood.order.state, stood.order.fulfilled_at) == (OrderState.PARTIALLY_REFUNDED, NOON)
    assert fulfilment.activated(stood, HOME, LATE).state is stood
    assert fulfilment.given_up(stood, HOME, "run failed", BOOKS, 1, NOON).state is stood
    gone = fulfilment.destroyed(stood, HOME, BOOKS, 1, NOON)
    assert (gone.state.order.refunded, facts(gone)) == (omr("4"), ["subscriptions.Cancelled"])


def test_an_order_of_apps_is_fulfilled_once_all_of_them_stand() -> None:
    p = paid_by_card(Selection("m", apps=("chat", "mail")))
    chat, mail = "blueprints/bp-chat", "blueprints/bp-mail"
    assert set(p.order.blueprints) == {chat, mail}
    first = fulfilment.installed(p, chat, NOON).state
    assert (first.order.state, first.order.installed) == (OrderState.FULFILLING, (chat,))
    for told in (chat, "blueprints/bp-other"):
        assert fulfilment.installed(first, told, NOON).state is first
    done = fulfilment.installed(first, mail, LATE).state
    assert (done.order.state, done.order.fulfilled_at) == (OrderState.FULFILLED, LATE)
    assert fulfilment.installed(done, mail, LATE).state is done
    sovereign = for_home()
    assert fulfilment.installed(sovereign, chat, NOON).state is sovereign


@pytest.mark.parametrize("policy", Failing)
def test_an_app_that_failed_for_good_is_given_back_by_policy_only_while_no_other_of_the_order_stands(
    policy: Failing,
) -> None:
    chat, mail = "blueprints/bp-chat", "blueprints/bp-mail"
    p = paid_by_card()
    p = replace(p, order=replace(p.order, blueprints=(chat, mail)))

    def failed(before: Purchase) -> Purchase:
        return fulfilment.never_stood(before, "chat", chat, policy, BOOKS, 1, NOON).state

    again = fulfilment.not_installed(p, "chat", chat, "write", NOON).state  # may be tried again
    assert (again.order, [f.reason for f in again.findings]) == (p.order, ["APPLICATION_FAILED"])
    one_stands, after = fulfilment.installed(p, mail, NOON).state, failed(p)
    assert failed(one_stands).order is one_stands.order
    assert [f.reason for f in failed(one_stands).findings] == ["APPLICATION_FAILED"]
    assert [f.reason for f in after.findings] == ["APPLICATION_FAILED"]
    back = {Failing.FINDING: (), Failing.REFUND: (omr("9"), omr("0")), Failing.CREDIT: (omr("0"), omr("9"))}[policy]
    assert sum(((r.to_card, r.to_credit) for r in after.refunds), ()) == back
    assert after.order.state is (OrderState.PAID if policy is Failing.FINDING else OrderState.REFUNDED)
    assert policy is Failing.FINDING or failed(after) is after

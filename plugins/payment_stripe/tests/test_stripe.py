"""Stripe over our FakeStripe, which the official library drives: the suite, and Stripe's own ways."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe
from catalyst_payment_stripe import webhooks
from catalyst_payment_stripe.plugin import catalyst_plugin
from catalyst_payment_stripe.provider import StripeProvider
from catalyst_sdk import Permanent, PluginFailure, RateLimited, Secret, SecretRef, Temporary
from catalyst_sdk.context import PluginContext
from catalyst_sdk.payment import Amount, CheckoutState, DisputeState, EventKind, PaymentState, ProviderPayment, RawEvent
from catalyst_testkit.fake_registrar import serving
from catalyst_testkit.payment_suite import PaymentBench, PaymentSuite, SignedCall, reason

from .fake_stripe import KEY, FakeStripe

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'")  # how Stripe's library hands a form to httpx
SECRETS = ("whsec_canary_new", "whsec_canary_before")


class Now:
    """The clock of the wall, which the library and the fake go by."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Vault:
    """Knows secrets that are called as they are."""

    async def resolve(self, ref: SecretRef) -> Secret:
        return Secret(ref.name)


class Silent:
    """A logger that says nothing."""

    def debug(self, event: str, **fields: Any) -> None: ...

    info = warning = error = debug


@pytest.fixture
async def fake() -> AsyncIterator[FakeStripe]:
    async with serving(FakeStripe()) as one:
        assert isinstance(one, FakeStripe)
        yield one


@pytest.fixture
async def make(fake: FakeStripe, tmp_path: Path) -> AsyncIterator[Any]:
    made: list[StripeProvider] = []

    def provider(**config: Any) -> StripeProvider:
        whole = {"secret_key": KEY, "url": fake.url, **config}
        made.append(catalyst_plugin(PluginContext(Now(), Silent(), Vault(), tmp_path, whole)))
        return made[-1]

    yield provider
    for one in made:
        if one._http is not None:
            await one._http.close_async()


def signed(body: bytes, secret: str, at: datetime) -> SignedCall:
    text = body.decode("utf-8", "surrogateescape")
    header = stripe.WebhookSignature.generate_signature_header(text, secret, int(at.timestamp()))
    return SignedCall({webhooks.HEADER: header}, body)


@pytest.fixture
def bench(fake: FakeStripe, make: Any) -> PaymentBench:
    hooks = {"webhook_secret": SECRETS[0], "webhook_secret_before": SECRETS[1]}

    async def pay(ref: str) -> None:
        fake.pay(ref)

    async def decline(ref: str) -> None:
        fake.decline(ref)

    async def bad_method() -> tuple[str, str]:
        customer = await make().ensure_customer(key="customer:bad", name="Bad", email="", metadata={})
        return customer, "pm_declined"

    async def call(payment: ProviderPayment, ref: str, secret: str, at: datetime) -> SignedCall:
        session = {"id": ref, "payment_status": "paid", "payment_intent": payment.ref}
        event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": session}}
        return signed(json.dumps(event).encode(), secret, at)

    async def odd_call(body: bytes, secret: str, at: datetime) -> SignedCall:
        return signed(body, secret, at)

    return PaymentBench(
        make=lambda: make(**hooks), unsigned=make, now=Now().now, pay=pay, decline=decline, bad_method=bad_method,
        call=call, odd_call=odd_call, secrets=SECRETS,
    )  # fmt: skip


class TestConformance(PaymentSuite):
    """The suite that every payment provider passes."""


async def test_a_refund_is_found_by_its_key_after_stripe_has_forgotten_it(
    bench: PaymentBench, fake: FakeStripe
) -> None:
    _, payment = await bench.paid()
    first = await bench.plugin.refund(key="refund:1", payment=payment.ref, amount=bench.part(100))
    fake.kept.clear()
    assert await bench.plugin.refund(key="refund:1", payment=payment.ref, amount=bench.part(100)) == first
    assert sum(row["object"] == "refund" for row in fake.rows.values()) == 1


async def test_how_a_refund_stands_is_read_and_not_what_was_answered_first(
    bench: PaymentBench, fake: FakeStripe
) -> None:
    _, payment = await bench.paid()
    first = await bench.plugin.refund(key="refund:1", payment=payment.ref, amount=bench.part(100))
    fake.rows[first.ref] |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
    again = await bench.plugin.refund(key="refund:1", payment=payment.ref, amount=bench.part(100))
    assert (again.ref, again.state, again.reason) == (first.ref, "failed", "lost_or_stolen_card")


@pytest.mark.parametrize(
    ("status", "before", "state", "payment"),
    [
        ("processing", "complete", CheckoutState.OPEN, PaymentState.PROCESSING),
        ("requires_capture", "complete", CheckoutState.OPEN, PaymentState.PROCESSING),
        ("canceled", "complete", CheckoutState.FAILED, PaymentState.FAILED),
        ("canceled", "expired", CheckoutState.EXPIRED, PaymentState.FAILED),
    ],
)
async def test_what_stripe_says_of_an_intent_is_what_the_checkout_is(
    bench: PaymentBench, fake: FakeStripe, status: str, before: str, state: CheckoutState, payment: PaymentState
) -> None:
    page = await bench.checkout()
    fake.pay(page.ref, status=status)
    fake.rows[page.ref]["status"] = before
    found = await bench.plugin.fetch_checkout(ref=page.ref)
    assert (found.state, [p.state for p in found.payments]) == (state, [payment])


async def test_a_card_that_may_be_tried_again_ends_no_checkout(bench: PaymentBench, fake: FakeStripe) -> None:
    page = await bench.checkout()
    fake.decline(page.ref)
    found = await bench.plugin.fetch_checkout(ref=page.ref)
    assert (found.state, found.reason) == (CheckoutState.OPEN, "insufficient_funds")
    assert [p.is_final for p in found.payments] == [False]


async def test_nobody_has_tried_to_pay_is_no_payment(bench: PaymentBench, fake: FakeStripe) -> None:
    page = await bench.checkout()
    fake.pay(page.ref, status="requires_payment_method")
    assert (await bench.plugin.fetch_checkout(ref=page.ref)).payments == ()
    intent = str(fake.rows[page.ref]["payment_intent"])
    assert await reason(bench.plugin.fetch_payment(ref=intent)) == "NOT_FOUND"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("needs_response", "opened"),
        ("under_review", "opened"),
        ("won", "won"),
        ("lost", "lost"),
        ("warning_closed", "won"),
    ],
)
async def test_a_dispute_is_read_as_it_stands(bench: PaymentBench, fake: FakeStripe, status: str, state: str) -> None:
    _, payment = await bench.paid()
    found = await bench.plugin.fetch_dispute(ref=fake.dispute(payment.ref, status))
    assert (found.payment, found.amount, found.state) == (payment.ref, bench.amount, DisputeState(state))


@pytest.mark.parametrize(
    ("type", "about", "kind", "ref"),
    [
        ("payment_intent.succeeded", {"id": "pi_1"}, EventKind.PAYMENT_CAPTURED, "pi_1"),
        ("payment_intent.payment_failed", {"id": "pi_1"}, EventKind.PAYMENT_FAILED, "pi_1"),
        ("checkout.session.completed", {"id": "cs_1", "payment_status": "unpaid"}, EventKind.PAYMENT_AUTHORISED, ""),
        ("checkout.session.expired", {"id": "cs_1"}, EventKind.CHECKOUT_EXPIRED, "cs_1"),
        ("refund.updated", {"id": "re_1", "status": "failed"}, EventKind.REFUND_FAILED, "re_1"),
        ("refund.updated", {"id": "re_1", "status": "pending"}, None, ""),
        ("charge.dispute.created", {"id": "dp_1", "status": "needs_response"}, EventKind.DISPUTE_OPENED, "dp_1"),
        ("charge.dispute.closed", {"id": "dp_1", "status": "lost"}, EventKind.DISPUTE_LOST, "dp_1"),
        ("payment_method.attached", {"id": "pm_1"}, EventKind.METHOD_ATTACHED, "pm_1"),
        ("checkout.session.brewed", {"id": "cs_1"}, None, ""),
    ],
)
async def test_an_event_of_stripe_s_is_one_of_ours(
    make: Any, type: str, about: dict[str, str], kind: EventKind | None, ref: str
) -> None:
    body = json.dumps({"id": "evt_1", "type": type, "data": {"object": about}}).encode()
    event = await make().normalise(event=RawEvent("evt_1", type, body))
    assert (event and event.kind) == kind
    assert event is None or event.ref == ref


@pytest.mark.parametrize(
    ("status", "kind"), [(500, Temporary), (503, Temporary), (409, Temporary), (429, RateLimited), (401, Permanent)]
)
async def test_trouble_at_stripe_is_one_of_the_four_errors_without_any_secret(
    bench: PaymentBench, fake: FakeStripe, status: int, kind: type[PluginFailure]
) -> None:
    fake.trouble = [status]
    with pytest.raises(kind) as caught:
        await bench.checkout()
    assert fake.trouble == [], "the host repeats calls, the library does not"
    text = f"{caught.value!r} {caught.value.__dict__} {caught.value.__cause__} {caught.value.__context__}"
    assert KEY not in text


async def test_a_stripe_that_hangs_is_given_up_in_time(bench: PaymentBench, make: Any) -> None:
    began = time.monotonic()
    with pytest.raises(Temporary):
        await make(url="http://127.0.0.1:9", try_seconds=0.2).fetch_checkout(ref="cs_1")
    assert time.monotonic() - began < 10


async def test_no_secret_is_in_what_the_provider_shows_of_itself(make: Any) -> None:
    provider = make(webhook_secret=SECRETS[0])
    await provider._client()
    assert KEY not in repr(provider)


async def test_a_page_lives_longer_than_the_order_and_for_the_same_moment_at_each_try(
    bench: PaymentBench, fake: FakeStripe
) -> None:
    at = datetime.now(UTC) + timedelta(minutes=5)
    provider = bench.plugin
    call = {"key": "k", "amount": Amount(9000, "OMR"), "lines": [], "metadata": {}, "expires_at": at}
    assert (await provider.create_checkout(**call)).ref == (await provider.create_checkout(**call)).ref  # type: ignore[arg-type]

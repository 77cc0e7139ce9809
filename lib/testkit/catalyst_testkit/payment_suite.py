"""Conformance of payment providers. An author subclasses the suite and provides one fixture, `bench`.

class TestMine(PaymentSuite):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[PaymentBench]: ...

What a provider cannot do is skipped by what it declares, and must then be refused.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from catalyst_sdk import NotSupported, Permanent
from catalyst_sdk.payment import (
    CAPABILITIES,
    REASONS,
    Amount,
    CheckoutLine,
    CheckoutPage,
    CheckoutState,
    EventKind,
    PaymentProvider,
    PaymentState,
    ProviderPayment,
    RawEvent,
    RefundState,
)

HALF_HOUR = timedelta(minutes=30)
METADATA = {"order": "billingAccounts/acme/orders/o-1", "org": "organizations/acme", "sovereign": "sovereigns/one"}


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A webhook as it arrives: header names in lower case."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(kw_only=True)
class PaymentBench:
    """A provider with books of its own, and hands that play its customers.

    make        a plugin as its host makes it, over the same books: what a restart sees
    unsigned    the same without any secret for webhooks
    now         the present moment
    pay         pays an open checkout
    decline     tries to pay it with a card that is declined for good; None where that ends no checkout
    bad_method  makes a customer's method of a card that is declined: customer and method
    call        a webhook that tells of a captured payment on a checkout: signed by a secret, at a moment
    odd_call    a call with any body, rightly signed
    secrets     the two that are good
    amount      what is charged in the tests, at least 900 steps of the provider
    """

    make: Callable[[], PaymentProvider]
    unsigned: Callable[[], PaymentProvider]
    now: Callable[[], datetime]
    pay: Callable[[str], Awaitable[Any]]
    bad_method: Callable[[], Awaitable[tuple[str, str]]] | None = None
    decline: Callable[[str], Awaitable[Any]] | None = None
    call: Callable[[ProviderPayment, str, str, datetime], Awaitable[SignedCall]]
    odd_call: Callable[[bytes, str, datetime], Awaitable[SignedCall]]
    secrets: tuple[str, str]
    amount: Amount = field(default_factory=lambda: Amount(9000, "OMR"))

    @property
    def plugin(self) -> PaymentProvider:
        return self.make()

    async def checkout(self, key: str = "checkout:o-1", amount: Amount | None = None, **rest: Any) -> CheckoutPage:
        whole = amount or self.amount
        return await self.plugin.create_checkout(
            key=key, amount=whole, lines=[CheckoutLine("Plan M", whole)], metadata=METADATA,
            expires_at=self.now() + HALF_HOUR + timedelta(minutes=1), return_url="https://shop.example/back", **rest,
        )  # fmt: skip

    async def paid(self, key: str = "checkout:o-1", **rest: Any) -> tuple[str, ProviderPayment]:
        """A checkout that was paid, and its payment."""
        page = await self.checkout(key, **rest)
        await self.pay(page.ref)
        status = await self.plugin.fetch_checkout(ref=page.ref)
        assert status.state is CheckoutState.COMPLETE
        (payment,) = status.payments
        return page.ref, payment

    async def customer(self) -> str:
        """The one customer of the tests."""
        return await self.plugin.ensure_customer(
            key="customer:acme", name="Acme", email="a@acme.example", metadata={"org": "organizations/acme"}
        )

    async def charge(self, key: str, customer: str, method: str) -> ProviderPayment:
        """An unattended charge."""
        return await self.plugin.charge(
            key=key, customer=customer, method=method, amount=self.amount, metadata=METADATA
        )

    def part(self, minor: int) -> Amount:
        """So many steps of the provider."""
        step = self.plugin.manifest.step(self.amount.currency)
        return Amount(minor * step, self.amount.currency)


async def reason(call: Awaitable[Any]) -> str:
    """With which reason a call fails for good; the reason is one of the contract's."""
    with pytest.raises(Permanent) as caught:
        await call
    assert caught.value.reason in REASONS
    return caught.value.reason


class PaymentSuite:
    """The tests that every payment provider passes, ours or a stranger's."""

    def needs(self, bench: PaymentBench, capability: str) -> None:
        if capability not in bench.plugin.manifest.capabilities:
            pytest.skip(f"{capability} is not declared")

    async def test_it_declares_what_the_contract_knows(self, bench: PaymentBench) -> None:
        about = bench.plugin.manifest
        assert about.capabilities <= CAPABILITIES
        assert about.currencies
        assert all(len(code) == 3 and code.isupper() for code in about.currencies)
        assert about.takes(bench.amount.minor, bench.amount.currency)
        assert not about.takes(0, bench.amount.currency)

    async def test_a_checkout_is_open_until_somebody_pays(self, bench: PaymentBench) -> None:
        page = await bench.checkout()
        assert page.url.startswith("https://")
        status = await bench.plugin.fetch_checkout(ref=page.ref)
        assert (status.state, status.ref) == (CheckoutState.OPEN, page.ref)
        assert PaymentState.CAPTURED not in {payment.state for payment in status.payments}

    async def test_a_key_makes_one_checkout_over_a_restart_too(self, bench: PaymentBench) -> None:
        assert (await bench.checkout()).ref == (await bench.checkout()).ref

    async def test_another_key_makes_another_checkout(self, bench: PaymentBench) -> None:
        assert (await bench.checkout("checkout:o-1")).ref != (await bench.checkout("checkout:o-2")).ref

    async def test_a_key_of_another_call_is_a_conflict(self, bench: PaymentBench) -> None:
        await bench.checkout()
        assert await reason(bench.checkout(amount=bench.part(500))) == "CONFLICT"

    @pytest.mark.parametrize("minor", [0, -1000])
    async def test_what_is_no_charge_is_refused(self, bench: PaymentBench, minor: int) -> None:
        assert await reason(bench.checkout(amount=Amount(minor, bench.amount.currency))) == "AMOUNT"

    async def test_what_lies_between_its_steps_is_refused(self, bench: PaymentBench) -> None:
        if bench.plugin.manifest.step(bench.amount.currency) == 1:
            pytest.skip("every minor unit can be charged")
        between = Amount(bench.amount.minor + 1, bench.amount.currency)
        assert await reason(bench.checkout(amount=between)) == "AMOUNT"

    async def test_a_currency_that_it_does_not_take_is_refused(self, bench: PaymentBench) -> None:
        assert await reason(bench.checkout(amount=Amount(1000, "XAU"))) == "CURRENCY"

    async def test_exactly_what_was_asked_for_is_captured(self, bench: PaymentBench) -> None:
        _, payment = await bench.paid()
        assert (payment.state, payment.amount) == (PaymentState.CAPTURED, bench.amount)
        assert abs((payment.at - bench.now()).total_seconds()) < 3600

    async def test_what_it_was_made_with_comes_back_with_checkout_and_payment(self, bench: PaymentBench) -> None:
        ref, payment = await bench.paid()
        status = await bench.plugin.fetch_checkout(ref=ref)
        again = await bench.plugin.fetch_payment(ref=payment.ref)
        for metadata in (status.metadata, payment.metadata, again.metadata):
            assert {name: metadata[name] for name in METADATA} == METADATA
        assert (again.ref, again.state, again.amount) == (payment.ref, payment.state, payment.amount)

    async def test_a_declined_card_captures_nothing(self, bench: PaymentBench) -> None:
        if bench.decline is None:
            pytest.skip("a declined card is tried again on the provider's own page")
        page = await bench.checkout()
        await bench.decline(page.ref)
        status = await bench.plugin.fetch_checkout(ref=page.ref)
        assert PaymentState.CAPTURED not in {payment.state for payment in status.payments}
        assert status.state in (CheckoutState.FAILED, CheckoutState.OPEN)

    async def test_a_closed_checkout_takes_no_payment_and_closes_once(self, bench: PaymentBench) -> None:
        page = await bench.checkout()
        first = await bench.plugin.expire_checkout(ref=page.ref)
        again = await bench.plugin.expire_checkout(ref=page.ref)
        assert (first.state, again.state) == (CheckoutState.EXPIRED, CheckoutState.EXPIRED)
        assert (await bench.plugin.fetch_checkout(ref=page.ref)).state is CheckoutState.EXPIRED

    async def test_a_paid_checkout_stays_paid(self, bench: PaymentBench) -> None:
        ref, payment = await bench.paid()
        status = await bench.plugin.expire_checkout(ref=ref)
        assert (status.state, [p.ref for p in status.payments]) == (CheckoutState.COMPLETE, [payment.ref])

    @pytest.mark.parametrize("ref", ["none-such", "cs_test_none"])
    async def test_what_is_not_there_is_said_not_to_be_there(self, bench: PaymentBench, ref: str) -> None:
        assert await reason(bench.plugin.fetch_checkout(ref=ref)) == "NOT_FOUND"
        assert await reason(bench.plugin.expire_checkout(ref=ref)) == "NOT_FOUND"
        assert await reason(bench.plugin.fetch_payment(ref=ref)) == "NOT_FOUND"
        assert await reason(bench.plugin.fetch_dispute(ref=ref)) == "NOT_FOUND"

    async def test_a_refund_is_made_once_for_its_key(self, bench: PaymentBench) -> None:
        self.needs(bench, "refunds")
        _, payment = await bench.paid()
        first = await bench.plugin.refund(key="refund:1", payment=payment.ref, amount=bench.amount)
        again = await bench.plugin.refund(key="refund:1", payment=payment.ref, amount=bench.amount)
        assert first.ref == again.ref
        assert again.state in (RefundState.SUCCEEDED, RefundState.PENDING)
        assert again.amount == bench.amount

    async def test_no_more_goes_back_than_came(self, bench: PaymentBench) -> None:
        self.needs(bench, "partial_refunds")
        _, payment = await bench.paid()
        most = Amount(bench.amount.minor - bench.part(300).minor, bench.amount.currency)
        await bench.plugin.refund(key="refund:1", payment=payment.ref, amount=most)
        assert (
            await reason(bench.plugin.refund(key="refund:2", payment=payment.ref, amount=bench.part(301))) == "AMOUNT"
        )
        await bench.plugin.refund(key="refund:3", payment=payment.ref, amount=bench.part(300))

    async def test_a_payment_that_there_is_not_is_not_refunded(self, bench: PaymentBench) -> None:
        self.needs(bench, "refunds")
        wish = bench.plugin.refund(key="refund:1", payment="none-such", amount=bench.amount)
        assert await reason(wish) == "NOT_FOUND"

    async def test_a_customer_is_one_for_its_key(self, bench: PaymentBench) -> None:
        assert await bench.customer() == await bench.customer()

    async def test_a_saved_method_is_told_and_can_be_charged_once_for_a_key(self, bench: PaymentBench) -> None:
        self.needs(bench, "unattended_charge")
        customer = await bench.customer()
        ref, _ = await bench.paid(customer=customer, save_method=True)
        method = (await bench.plugin.fetch_checkout(ref=ref)).method
        assert method is not None
        assert method.customer == customer
        first, again = [await bench.charge("charge:1", customer, method.ref) for _ in range(2)]
        assert (first.state, first.amount, again.ref) == (PaymentState.CAPTURED, bench.amount, first.ref)

    async def test_a_declined_charge_is_an_answer_and_no_failure(self, bench: PaymentBench) -> None:
        self.needs(bench, "unattended_charge")
        if bench.bad_method is None:
            pytest.skip("the bench has no card that is declined")
        customer, method = await bench.bad_method()
        payment = await bench.charge("charge:bad", customer, method)
        assert payment.state is PaymentState.FAILED
        assert payment.reason

    async def test_a_portal_is_a_page_or_not_supported(self, bench: PaymentBench) -> None:
        customer = await bench.customer()
        call = bench.plugin.portal_url(customer=customer, return_url="https://shop.example/back")
        if "portal" in bench.plugin.manifest.capabilities:
            assert (await call).startswith("https://")
        else:
            with pytest.raises(NotSupported):
                await call

    @pytest.mark.parametrize("which", [0, 1])
    async def test_a_call_signed_by_either_secret_says_what_to_fetch(self, bench: PaymentBench, which: int) -> None:
        ref, payment = await bench.paid()
        call = await bench.call(payment, ref, bench.secrets[which], bench.now())
        raw = await bench.plugin.verify_webhook(headers=call.headers, body=call.body)
        event = await bench.plugin.normalise(event=raw)
        assert event is not None
        assert (event.id, event.kind) == (raw.id, EventKind.PAYMENT_CAPTURED)
        assert payment.ref in (event.ref, (await self._of_checkout(bench, event.checkout or event.ref)))

    async def _of_checkout(self, bench: PaymentBench, ref: str) -> str:
        status = await bench.plugin.fetch_checkout(ref=ref)
        return status.payments[0].ref

    async def test_a_call_that_was_changed_cut_or_signed_by_another_is_refused(self, bench: PaymentBench) -> None:
        ref, payment = await bench.paid()
        good = await bench.call(payment, ref, bench.secrets[0], bench.now())
        strange = await bench.call(payment, ref, "whsec_of_somebody_else", bench.now())
        for headers, body in (
            (good.headers, good.body + b" "), (good.headers, good.body[:-5]), (strange.headers, strange.body),
            ({}, good.body), (dict.fromkeys(good.headers, "t=,v1="), good.body),
            (dict.fromkeys(good.headers, ""), good.body),
        ):  # fmt: skip
            call = bench.plugin.verify_webhook(headers=headers, body=body)
            assert await reason(call) == "SIGNATURE_INVALID"

    async def test_a_call_of_ten_minutes_ago_is_refused(self, bench: PaymentBench) -> None:
        ref, payment = await bench.paid()
        old = await bench.call(payment, ref, bench.secrets[0], bench.now() - timedelta(minutes=10))
        assert await reason(bench.plugin.verify_webhook(headers=old.headers, body=old.body)) == "SIGNATURE_TOO_OLD"

    @pytest.mark.parametrize("body", [b"not json", b"[]", b"{}", b"[" * 100_000])
    async def test_a_signed_body_that_is_no_event_is_unreadable(self, bench: PaymentBench, body: bytes) -> None:
        call = await bench.odd_call(body, bench.secrets[0], bench.now())
        assert await reason(bench.plugin.verify_webhook(headers=call.headers, body=call.body)) == "BODY_UNREADABLE"

    async def test_without_a_secret_no_call_is_taken(self, bench: PaymentBench) -> None:
        ref, payment = await bench.paid()
        call = await bench.call(payment, ref, bench.secrets[0], bench.now())
        answer = bench.unsigned().verify_webhook(headers=call.headers, body=call.body)
        assert await reason(answer) == "WEBHOOK_UNCONFIGURED"

    async def test_an_event_of_an_unknown_type_means_nothing(self, bench: PaymentBench) -> None:
        raw = RawEvent("evt_1", "coffee.brewed", b'{"id": "evt_1", "type": "coffee.brewed", "data": {"object": {}}}')
        assert await bench.plugin.normalise(event=raw) is None

    async def test_payments_are_listed_once_in_pages(self, bench: PaymentBench) -> None:
        made = {(await bench.paid(f"checkout:o-{n}"))[1].ref for n in range(3)}
        seen, cursor = [], ""
        while True:
            page = await bench.plugin.list_payments(since=bench.now() - timedelta(hours=1), cursor=cursor)
            seen += [payment.ref for payment in page.payments if payment.state is PaymentState.CAPTURED]
            if not (cursor := page.next_cursor):
                break
        assert sorted(seen) == sorted(made)
        later = await bench.plugin.list_payments(since=bench.now() + timedelta(hours=1))
        assert [p.ref for p in later.payments] == []

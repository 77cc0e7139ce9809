"""The fake keeps its promises: one key one effect, exact amounts, scripts by the clock alone, books over restarts."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from catalyst_payment_fake import webhooks
from catalyst_payment_fake.plugin import catalyst_plugin
from catalyst_payment_fake.provider import FakeProvider
from catalyst_payment_fake.scripts import Script
from catalyst_sdk import NotSupported, Permanent, Secret, SecretRef, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.payment import CAPABILITIES, REASONS, Amount, CheckoutState, EventKind, PaymentState, RefundState

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DUE = Amount(9000, "OMR")
HALF_HOUR, SECOND = timedelta(minutes=30), timedelta(seconds=1)


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment


class Vault:
    """Knows one secret."""

    async def resolve(self, ref: SecretRef) -> Secret:
        assert ref.name == "whsec"
        return Secret("of the webhook")


class Silent:
    """A logger that says nothing."""

    def debug(self, event: str, **fields: Any) -> None: ...

    info = warning = error = debug


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def make(tmp_path: Path, clock: Hand) -> Any:
    def provider(**config: Any) -> FakeProvider:
        return catalyst_plugin(PluginContext(clock, Silent(), Vault(), tmp_path, config))

    return provider


async def checkout(provider: FakeProvider, key: str = "o-1", amount: Amount = DUE, org: str = "acme") -> str:
    page = await provider.create_checkout(
        key=key, amount=amount, lines=[], metadata={"org": f"organizations/{org}"}, expires_at=NOON + HALF_HOUR
    )
    return page.ref


async def reached(provider: FakeProvider, ref: str) -> tuple[str, list[tuple[str, int]]]:
    status = await provider.fetch_checkout(ref=ref)
    return status.state.value, [(p.state.value, p.amount.minor) for p in status.payments]


def test_the_manifest_declares_what_the_contract_knows() -> None:
    import catalyst_payment_fake

    manifest = load_manifest(Path(catalyst_payment_fake.__file__).with_name("manifest.toml"))
    assert set(manifest.capabilities) < CAPABILITIES
    assert manifest.config["properties"]["script"]["enum"] == [script.value for script in Script]


@pytest.mark.parametrize(
    ("script", "after", "expected"),
    [
        ("pay", 0, ("complete", [("captured", 9000)])),
        ("decline", 0, ("failed", [("failed", 9000)])),
        ("async", 0, ("open", [("processing", 9000)])),
        ("async", 2, ("complete", [("captured", 9000)])),
        ("three_d_secure", 1, ("open", [])),
        ("three_d_secure", 2, ("complete", [("captured", 9000)])),
        ("never", 1799, ("open", [])),
        ("never", 1800, ("expired", [])),
        ("twice", 0, ("complete", [("captured", 9000), ("captured", 9000)])),
        ("late", 1800, ("expired", [])),
        ("late", 1801, ("complete", [("captured", 9000)])),
        ("wrong_amount", 0, ("complete", [("captured", 8999)])),
    ],
)
async def test_each_script_does_what_its_page_says(
    make: Any, clock: Hand, script: str, after: int, expected: tuple[str, list[tuple[str, int]]]
) -> None:
    provider = make(script=script)
    ref = await checkout(provider)
    clock.moment = NOON + after * SECOND
    assert await reached(provider, ref) == expected


async def test_two_captures_have_two_ids(make: Any) -> None:
    provider = make(script="twice")
    status = await provider.fetch_checkout(ref=await checkout(provider))
    assert len({payment.ref for payment in status.payments}) == 2


async def test_the_script_of_the_payer_goes_first(make: Any) -> None:
    provider = make(script="pay", scripts={"poor": "decline"})
    assert (await reached(provider, await checkout(provider, "a", org="poor")))[0] == "failed"
    assert (await reached(provider, await checkout(provider, "b", org="rich")))[0] == "complete"


async def test_a_key_makes_one_checkout_over_a_restart_too(make: Any, clock: Hand) -> None:
    ref = await checkout(make(script="async"))
    clock.moment += SECOND
    restarted = make(script="decline")
    assert await checkout(restarted) == ref
    clock.moment += SECOND
    assert (await reached(restarted, ref))[0] == "complete"


async def test_a_key_of_another_call_is_a_conflict(make: Any) -> None:
    provider = make()
    await checkout(provider)
    with pytest.raises(Permanent) as caught:
        await checkout(provider, amount=Amount(1, "OMR"))
    assert caught.value.reason == "CONFLICT"


@pytest.mark.parametrize(("amount", "reason"), [(Amount(0, "OMR"), "AMOUNT"), (Amount(5, "XAU"), "CURRENCY")])
async def test_what_cannot_be_charged_is_refused_and_leaves_nothing(make: Any, amount: Amount, reason: str) -> None:
    provider = make()
    with pytest.raises(Permanent) as caught:
        await checkout(provider, amount=amount)
    assert caught.value.reason == reason in REASONS
    assert provider.books.checkouts == {}


@pytest.mark.parametrize(("script", "state"), [("never", "expired"), ("pay", "complete"), ("async", "expired")])
async def test_a_closed_checkout_takes_no_payment_and_a_paid_one_stays_paid(
    make: Any, clock: Hand, script: str, state: str
) -> None:
    provider = make(script=script)
    ref = await checkout(provider)
    clock.moment += SECOND
    first = await provider.expire_checkout(ref=ref)
    clock.moment += HALF_HOUR
    assert (await provider.expire_checkout(ref=ref)).state == first.state == CheckoutState(state)


async def test_a_late_payment_comes_after_the_close(make: Any, clock: Hand) -> None:
    provider = make(script="late")
    ref = await checkout(provider)
    clock.moment += SECOND
    assert (await provider.expire_checkout(ref=ref)).state is CheckoutState.EXPIRED
    clock.moment += SECOND
    assert (await reached(provider, ref)) == ("complete", [("captured", 9000)])


async def test_an_unknown_checkout_is_said_to_be_unknown(make: Any) -> None:
    with pytest.raises(Permanent) as caught:
        await make().fetch_checkout(ref="fc_none")
    assert caught.value.reason == "NOT_FOUND"


async def test_no_more_goes_back_than_came(make: Any) -> None:
    provider = make()
    (payment,) = (await provider.fetch_checkout(ref=await checkout(provider))).payments
    first = await provider.refund(key="r-1", payment=payment.ref, amount=Amount(6000, "OMR"))
    again = await provider.refund(key="r-1", payment=payment.ref, amount=Amount(6000, "OMR"))
    assert (first, first.state) == (again, RefundState.SUCCEEDED)
    with pytest.raises(Permanent, match="3000 minor units"):
        await provider.refund(key="r-2", payment=payment.ref, amount=Amount(3001, "OMR"))
    for payment_ref, currency in (("fp_none", "OMR"), (payment.ref, "EUR")):
        with pytest.raises(Permanent, match="no captured payment"):
            await provider.refund(key="r-3", payment=payment_ref, amount=Amount(1, currency))
    assert len(provider.books.refunds) == 1


async def test_an_unattended_charge_is_paid_or_declined(make: Any) -> None:
    provider = make(scripts={"poor": "decline"})
    customer = await provider.ensure_customer(key="c-1", name="Acme", email="", metadata={})
    assert customer == await provider.ensure_customer(key="c-1", name="Acme", email="", metadata={})
    for org, state in (("rich", PaymentState.CAPTURED), ("poor", PaymentState.FAILED)):
        call = {"key": org, "customer": customer, "method": "pm", "amount": DUE, "metadata": {"org": org}}
        assert (await provider.charge(**call)) == (paid := await provider.charge(**call))
        assert paid.state is state


async def test_payments_are_listed_in_pages_without_gap_or_double(make: Any, clock: Hand) -> None:
    provider = make()
    for n in range(230):
        clock.moment += SECOND
        await checkout(provider, f"o-{n}")
    seen, cursor = [], ""
    while True:
        page = await provider.list_payments(since=NOON, cursor=cursor)
        seen += [payment.ref for payment in page.payments]
        if not (cursor := page.next_cursor):
            break
    assert len(seen) == len(set(seen)) == 230
    assert len((await provider.list_payments(since=clock.moment)).payments) == 1


async def test_there_is_no_portal(make: Any) -> None:
    with pytest.raises(NotSupported):
        await make().portal_url(customer="fcu_1", return_url="")


BODY = json.dumps({"id": "evt-1", "type": "payment.captured", "ref": "fc_1"}).encode()


async def test_a_signed_webhook_says_what_to_fetch(make: Any) -> None:
    provider = make(webhook_secret="whsec")
    headers = {webhooks.HEADER: webhooks.signature(Secret("of the webhook"), BODY, NOON)}
    raw = await provider.verify_webhook(headers=headers, body=BODY)
    event = await provider.normalise(event=raw)
    assert (event.id, event.kind, event.ref) == ("evt-1", EventKind.PAYMENT_CAPTURED, "fc_1")
    assert await provider.normalise(event=replace(raw, type="coffee.brewed")) is None


@pytest.mark.parametrize(
    ("config", "secret", "at", "body", "header", "reason"),
    [
        ({}, "of the webhook", NOON, BODY, None, "WEBHOOK_UNCONFIGURED"),
        ({"webhook_secret": "whsec"}, "another", NOON, BODY, None, "SIGNATURE_INVALID"),
        ({"webhook_secret": "whsec"}, "of the webhook", NOON, BODY, "t=,v1=", "SIGNATURE_INVALID"),
        ({"webhook_secret": "whsec"}, "of the webhook", NOON, BODY, "", "SIGNATURE_INVALID"),
        ({"webhook_secret": "whsec"}, "of the webhook", NOON - 10 * HALF_HOUR, BODY, None, "SIGNATURE_TOO_OLD"),
        ({"webhook_secret": "whsec"}, "of the webhook", NOON, b"not json", None, "BODY_UNREADABLE"),
        ({"webhook_secret": "whsec"}, "of the webhook", NOON, b"[]", None, "BODY_UNREADABLE"),
    ],
)
async def test_a_webhook_that_does_not_hold_is_refused(
    make: Any, config: dict[str, str], secret: str, at: datetime, body: bytes, header: str | None, reason: str
) -> None:
    given = webhooks.signature(Secret(secret), body, at) if header is None else header
    with pytest.raises(Permanent) as caught:
        await make(**config).verify_webhook(headers={webhooks.HEADER: given}, body=body)
    assert caught.value.reason == reason in REASONS

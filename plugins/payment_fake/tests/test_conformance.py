"""The suite of payment providers, over the fake."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from catalyst_payment_fake import webhooks
from catalyst_payment_fake.plugin import catalyst_plugin
from catalyst_payment_fake.provider import DECLINED, FakeProvider
from catalyst_payment_fake.scripts import Script
from catalyst_sdk import Secret, SecretRef
from catalyst_sdk.context import PluginContext
from catalyst_sdk.payment import ProviderPayment
from catalyst_testkit.payment_suite import PaymentBench, PaymentSuite, SignedCall

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRETS = ("whsec_new", "whsec_before")


class Noon:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOON


class Vault:
    """Knows secrets that are called as they are."""

    async def resolve(self, ref: SecretRef) -> Secret:
        return Secret(ref.name)


class Silent:
    """A logger that says nothing."""

    def debug(self, event: str, **fields: Any) -> None: ...

    info = warning = error = debug


class TestConformance(PaymentSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> PaymentBench:
        hooks = {"webhook_secret": SECRETS[0], "webhook_secret_before": SECRETS[1]}

        def make(**config: Any) -> FakeProvider:
            config = {"script": "never", "scripts": {"poor": "decline"}, **config}
            return catalyst_plugin(PluginContext(Noon(), Silent(), Vault(), tmp_path, config))

        async def play(ref: str, script: Script) -> None:
            make().play(ref, script)

        async def call(payment: ProviderPayment, ref: str, secret: str, at: datetime) -> SignedCall:
            (event,) = webhooks.of_checkout(await make().fetch_checkout(ref=ref))
            made = webhooks.signed(event, Secret(secret), at)
            return SignedCall(made.headers, made.body)

        async def odd_call(body: bytes, secret: str, at: datetime) -> SignedCall:
            return SignedCall({webhooks.HEADER: webhooks.signature(Secret(secret), body, at)}, body)

        async def bad_method() -> tuple[str, str]:
            return "fcu_1", DECLINED

        return PaymentBench(
            make=lambda: make(**hooks), unsigned=make, now=lambda: NOON, call=call, odd_call=odd_call, secrets=SECRETS,
            pay=lambda ref: play(ref, Script.PAY), decline=lambda ref: play(ref, Script.DECLINE), bad_method=bad_method,
        )  # fmt: skip

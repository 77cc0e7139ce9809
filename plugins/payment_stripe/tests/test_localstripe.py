"""Stripe's library and our plugin over localstripe, where that is faithful: customers, saved cards, charges, refunds.

It knows no Checkout sessions, portal or idempotency keys, and sums no refunds; these are tried over our FakeStripe.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from catalyst_payment_stripe.plugin import catalyst_plugin
from catalyst_payment_stripe.provider import StripeProvider
from catalyst_sdk import Permanent, Secret, SecretRef
from catalyst_sdk.context import PluginContext
from catalyst_sdk.payment import Amount, PaymentState, RefundState
from catalyst_testkit import eventually
from catalyst_testkit.servers import free_port

PYTHON = Path(__file__).parents[3] / ".venv-localstripe" / "bin" / "python"
SERVE = """
import sys
from aiohttp import web
from localstripe.server import app
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
"""Its own start listens on every address; this one on loopback only."""

pytestmark = [
    pytest.mark.skipif(not PYTHON.exists(), reason="script/localstripe has not run"),
    pytest.mark.filterwarnings("ignore:Use 'content=<...>'"),  # how Stripe's library hands a form to httpx
]


class Now:
    """The clock of the wall."""

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
async def provider(tmp_path: Path) -> AsyncIterator[StripeProvider]:
    port, quiet = free_port(), asyncio.subprocess.DEVNULL
    server = await asyncio.create_subprocess_exec(
        PYTHON, "-c", SERVE, str(port), stdout=quiet, stderr=quiet, cwd=tmp_path
    )
    config = {"secret_key": "sk_test_12345", "url": f"http://127.0.0.1:{port}"}
    one = catalyst_plugin(PluginContext(Now(), Silent(), Vault(), tmp_path, config))
    try:
        await eventually(lambda: _listens(port), within=60)
        yield one
    finally:
        if one._http is not None:
            await one._http.close_async()
        server.kill()
        await server.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def saved_card(provider: StripeProvider, number: str) -> tuple[str, str]:
    """A customer with a card that may be charged unattended."""
    customer = await provider.ensure_customer(
        key="customer:acme", name="Acme", email="a@acme.example", metadata={"org": "organizations/acme"}
    )
    client = await provider._client()
    card: Any = {"number": number, "exp_month": 12, "exp_year": datetime.now(UTC).year + 2, "cvc": "123"}
    method = await client.v1.payment_methods.create_async({"type": "card", "card": card})
    await client.v1.payment_methods.attach_async(method.id, {"customer": customer})
    return customer, method.id


async def test_a_saved_card_is_charged_and_a_part_goes_back_once(provider: StripeProvider) -> None:
    customer, method = await saved_card(provider, "4242424242424242")
    amount, metadata = Amount(1000, "EUR"), {"order": "billingAccounts/acme/orders/o-1"}
    paid = await provider.charge(key="c", customer=customer, method=method, amount=amount, metadata=metadata)
    assert (paid.state, paid.amount, paid.metadata) == (PaymentState.CAPTURED, amount, metadata)
    assert await provider.fetch_payment(ref=paid.ref) == paid
    first = await provider.refund(key="r", payment=paid.ref, amount=Amount(400, "EUR"))
    again = await provider.refund(key="r", payment=paid.ref, amount=Amount(400, "EUR"))
    assert (first, first.state, first.amount) == (again, RefundState.SUCCEEDED, Amount(400, "EUR"))


async def test_a_card_that_is_declined_later_captures_nothing(provider: StripeProvider) -> None:
    customer, method = await saved_card(provider, "4000000000000341")
    with pytest.raises(Permanent) as caught:
        await provider.charge(key="c", customer=customer, method=method, amount=Amount(1000, "EUR"), metadata={})
    assert (caught.value.reason, caught.value.provider_code) == ("DECLINED", "card_declined")


async def test_a_payment_that_is_not_there_is_not_found(provider: StripeProvider) -> None:
    with pytest.raises(Permanent) as caught:
        await provider.fetch_payment(ref="pi_none")
    assert caught.value.reason == "NOT_FOUND"

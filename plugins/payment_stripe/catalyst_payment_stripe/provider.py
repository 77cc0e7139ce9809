"""The provider: the contract's calls through Stripe's own library.

Invariants
  one key        each write carries its key as Stripe's idempotency key. Stripe forgets keys after a day, so a refund, which
                 may be asked for longer, is looked for by its key first;
  present state  what a repeated write answers is old, so a refund is read after it was made;
  exact          one line of exactly the amount: Stripe adds nothing to it and prorates nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalyst_sdk import Permanent, Secret, SecretRef, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.payment import (
    Amount,
    CheckoutLine,
    CheckoutPage,
    CheckoutStatus,
    PaymentEvent,
    PaymentPage,
    ProviderDispute,
    ProviderPayment,
    ProviderRefund,
    RawEvent,
    payment_manifest,
)

from . import reading

if TYPE_CHECKING:
    import stripe

PROVIDER = "stripe"
PAGE = 100
"""Payments on one page: the most that Stripe gives."""
LEAST_LIFE = timedelta(minutes=31)
"""Stripe's pages live for half an hour at least, from when they are made; the host closes them when the order ends."""
LATE = timedelta(days=3)
"""How long before a moment a payment may have begun that was captured after it."""
KEY = "catalyst_key"
"""Metadata of a refund: the key under which it was asked for."""
_INTENT = ["latest_charge"]
_SESSION = ["payment_intent", "payment_intent.latest_charge"]


class StripeProvider:
    """Payments by Stripe."""

    def __init__(self, context: PluginContext) -> None:
        self.manifest = payment_manifest(load_manifest(Path(__file__).with_name("manifest.toml")))
        self._clock = context.clock
        self._secrets = context.secrets
        self._config = context.config
        self._http: stripe.HTTPXClient | None = None

    async def ensure_customer(self, *, key: str, name: str, email: str, metadata: Mapping[str, str]) -> str:
        """The same customer for the same key."""
        params = {"name": name, "metadata": dict(metadata), **({"email": email} if email else {})}
        made = await self._call(lambda client: client.v1.customers.create_async(params, _under(key)))
        return str(made["id"])

    async def create_checkout(
        self, *, key: str, amount: Amount, lines: Sequence[CheckoutLine], metadata: Mapping[str, str],
        expires_at: datetime, return_url: str = "", save_method: bool = False, customer: str = "",
    ) -> CheckoutPage:  # fmt: skip
        """A session of Stripe Checkout for one line of the whole amount."""
        self._check(amount)
        back = return_url or str(self._config.get("return_url", "https://stripe.com/"))
        future = {"setup_future_usage": "off_session"} if save_method else {}
        params: dict[str, Any] = {
            "mode": "payment",
            "line_items": [{"quantity": 1, "price_data": _price(amount, lines)}],
            "metadata": dict(metadata),
            "payment_intent_data": {"metadata": dict(metadata), **future},
            # Made from the order's deadline alone: the same key with another moment would be a conflict.
            "expires_at": int((expires_at + LEAST_LIFE).timestamp()),
            "success_url": back,
            "cancel_url": back,
            **({"customer": customer} if customer else {}),
            **({"client_reference_id": metadata["order"]} if "order" in metadata else {}),
        }
        made = await self._call(lambda client: client.v1.checkout.sessions.create_async(params, _under(key)))
        return CheckoutPage(str(made["id"]), str(made.get("url") or ""))

    async def fetch_checkout(self, *, ref: str) -> CheckoutStatus:
        """The session as it is now."""
        found = await self._call(
            lambda client: client.v1.checkout.sessions.retrieve_async(_safe(ref), {"expand": _SESSION})
        )
        return reading.checkout(found)

    async def expire_checkout(self, *, ref: str) -> CheckoutStatus:
        """Close the session; one that is paid or closed stays as it is."""
        try:
            await self._call(lambda client: client.v1.checkout.sessions.expire_async(_safe(ref)))
        except Permanent as refusal:
            if refusal.reason != "UNKNOWN":  # what Stripe says of a session that is open no more
                raise
        return await self.fetch_checkout(ref=ref)

    async def fetch_payment(self, *, ref: str) -> ProviderPayment:
        """The payment intent as it is now."""
        found = await self._call(
            lambda client: client.v1.payment_intents.retrieve_async(_safe(ref), {"expand": _INTENT})
        )
        known = reading.payment(found)
        if known is None:
            raise Permanent("NOT_FOUND", f"nobody has tried to pay {ref}", provider=PROVIDER)
        return known

    async def fetch_dispute(self, *, ref: str) -> ProviderDispute:
        """The dispute as it is now."""
        return reading.dispute(await self._call(lambda client: client.v1.disputes.retrieve_async(_safe(ref))))

    async def charge(
        self, *, key: str, customer: str, method: str, amount: Amount, metadata: Mapping[str, str]
    ) -> ProviderPayment:
        """Charge a saved method; a decline is an answer."""
        from . import failures

        self._check(amount)
        params: dict[str, Any] = {
            "amount": amount.minor, "currency": amount.currency.lower(), "customer": customer, "payment_method": method,
            "off_session": True, "confirm": True, "metadata": dict(metadata), "expand": _INTENT,
        }  # fmt: skip
        made = await self._call(lambda client: client.v1.payment_intents.create_async(params, _under(key)))
        if why := made.get(failures.DECLINED):
            return reading.refused(made, str(why))
        return reading.payment(made) or reading.refused(made, str(made.get("status")))

    async def refund(self, *, key: str, payment: str, amount: Amount) -> ProviderRefund:
        """The refund of this key, made where there is none yet."""
        found = await self._refund_of(key, payment)
        if found is None:
            params = {"payment_intent": payment, "amount": amount.minor, "metadata": {KEY: key}}
            made = await self._call(lambda client: client.v1.refunds.create_async(params, _under(key)))
            found = await self._call(lambda client: client.v1.refunds.retrieve_async(str(made["id"])))
        return reading.refund(found, payment)

    async def portal_url(self, *, customer: str, return_url: str) -> str:
        """A session of Stripe's customer portal."""
        made = await self._call(
            lambda client: client.v1.billing_portal.sessions.create_async(
                {"customer": customer, "return_url": return_url}
            )
        )
        return str(made["url"])

    async def verify_webhook(self, *, headers: Mapping[str, str], body: bytes) -> RawEvent:
        """Check a call by the official library, with either secret."""
        from . import webhooks

        given = [self._config.get(name) for name in ("webhook_secret", "webhook_secret_before")]
        secrets = [await self._secret(name) for name in given if name]
        if not secrets:
            raise Permanent("WEBHOOK_UNCONFIGURED", "no webhook_secret is configured", provider=PROVIDER)
        return webhooks.verify(headers, body, secrets, self._clock.now())

    async def normalise(self, *, event: RawEvent) -> PaymentEvent | None:
        """The event in the contract's words."""
        from . import webhooks

        return webhooks.normalise(event)

    async def list_payments(self, *, since: datetime, cursor: str = "") -> PaymentPage:
        """Payment intents, newest first as Stripe has them; those that began a while before are looked at too."""
        first = int((since - LATE).timestamp())
        params: dict[str, Any] = {"limit": PAGE, "created": {"gte": first}, "expand": ["data.latest_charge"]}
        if cursor:
            params["starting_after"] = cursor
        page = await self._call(lambda client: client.v1.payment_intents.list_async(params))
        rows = list(page["data"])
        known = [payment for payment in map(reading.payment, rows) if payment is not None and payment.at >= since]
        return PaymentPage(known, str(rows[-1]["id"]) if page.get("has_more") and rows else "")

    async def _refund_of(self, key: str, payment: str) -> Any:
        """The refund that was made under a key, however long ago."""
        params: dict[str, Any] = {"payment_intent": payment, "limit": PAGE}
        page = await self._call(lambda client: client.v1.refunds.list_async(params))
        return next((row for row in page["data"] if (row.get("metadata") or {}).get(KEY) == key), None)

    async def _call(self, make: Any) -> Any:
        """What a call answers, as plain JSON has it."""
        from . import failures

        return await failures.told(make(await self._client()))

    async def _client(self) -> "stripe.StripeClient":
        """The library's client under the key as it is now; its connections are kept."""
        import stripe

        if self._http is None:
            self._http = stripe.HTTPXClient(timeout=float(self._config.get("try_seconds", 8)))
        key = await self._secret(self._config["secret_key"])
        base: Any = {"api": str(self._config["url"])} if self._config.get("url") else {}
        # Who repeats a call is the host, under the same key.
        return stripe.StripeClient(
            key.reveal(),
            http_client=self._http,
            max_network_retries=0,
            base_addresses=base,
        )

    async def _secret(self, given: SecretRef | str) -> Secret:
        return await self._secrets.resolve(given if isinstance(given, SecretRef) else SecretRef(str(given)))

    def _check(self, amount: Amount) -> None:
        if amount.currency not in self.manifest.currencies:
            raise Permanent("CURRENCY", f"{amount.currency} is not taken", provider=PROVIDER)
        if not self.manifest.takes(amount.minor, amount.currency):
            raise Permanent("AMOUNT", f"{amount.minor} {amount.currency} cannot be charged", provider=PROVIDER)


def _price(amount: Amount, lines: Sequence[CheckoutLine]) -> dict[str, Any]:
    """What the page shows: the whole amount, and of what it is made up in words."""
    words = "; ".join(line.text for line in lines if line.text)[:500]
    product = {"name": "Order", **({"description": words} if words else {})}
    return {"currency": amount.currency.lower(), "unit_amount": amount.minor, "product_data": product}


def _under(key: str) -> Any:
    return {"idempotency_key": key}


def _safe(ref: str) -> str:
    """An id as it may stand in a path; what is none of Stripe's cannot be there."""
    if not ref.replace("_", "").replace("-", "").isalnum() or not ref.isascii():
        raise Permanent("NOT_FOUND", "that is no id of Stripe's", provider=PROVIDER)
    return ref

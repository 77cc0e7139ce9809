"""What Stripe's library raises, as the four errors of the SDK.

Nothing that Stripe wrote is passed on but its codes: a message may repeat what was sent. The library's exceptions are not
chained, because they hold headers and bodies.
"""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import stripe
from catalyst_sdk import Permanent, PluginFailure, RateLimited, Temporary

PROVIDER = "stripe"
DECLINED = "declined"
"""Why an intent was declined, beside what Stripe has in it."""
_PAUSE = timedelta(seconds=5)
"""Where Stripe asks for a pause and does not say how long."""
_AMOUNT_CODES = frozenset({
    "amount_too_small", "amount_too_large", "charge_already_refunded", "charge_exceeds_source_limit",
    "refund_disputed_payment", "charge_disputed",
})  # fmt: skip
_CURRENCY_CODES = frozenset({"invalid_currency", "currency_not_supported"})


async def told(call: Awaitable[Any]) -> Any:
    """What a call of the library answers, as plain JSON has it; whatever it raises, as an error of the SDK.

    An unattended charge that was declined answers with its payment intent, as it stands in the library's exception.
    """
    try:
        return plain(await call)
    except stripe.StripeError as error:
        inner: Any = error.error
        intent = getattr(inner, "payment_intent", None) if isinstance(error, stripe.CardError) else None
        if isinstance(error, stripe.CardError) and intent is not None:
            return {**plain(intent), DECLINED: declined(error)}
        failure = failure_of(error)
    raise failure  # outside of the handler, so that the library's exception is not carried along


def plain(found: Any) -> Any:
    """An object of the library's without the library."""
    return found.to_dict() if hasattr(found, "to_dict") else found


def failure_of(error: stripe.StripeError) -> PluginFailure:
    """The SDK's error for one of the library's."""
    status, code = error.http_status or 0, str(error.code or "")
    about = {"provider": PROVIDER, "provider_code": code or str(status)}
    if isinstance(error, stripe.RateLimitError):
        return RateLimited("Stripe asks for a pause", retry_after=_pause(error), **about)
    if isinstance(error, stripe.IdempotencyError):
        return Permanent("CONFLICT", "the key was used for another call", **about)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        action = "give a secret key of the account that may do this"
        return Permanent("AUTH", "Stripe does not accept the key", user_action=action, **about)
    if isinstance(error, stripe.CardError):
        return Permanent("DECLINED", f"the card was declined: {declined(error)}", **about)
    if isinstance(error, stripe.APIConnectionError) or status >= 500 or status in (0, 409):
        # 409: another call with the same key is still under way.
        return Temporary("Stripe does not answer", provider=PROVIDER, provider_code=about["provider_code"])
    return Permanent(_reason(error, status, code), f"Stripe refuses: {code or 'no code'}", **about)


def declined(error: stripe.CardError) -> str:
    """Why a card was declined, in Stripe's word."""
    inner: Any = error.error
    return str(getattr(inner, "decline_code", "") or error.code or "card_declined")


def _reason(error: stripe.StripeError, status: int, code: str) -> str:
    param = str(getattr(error, "param", "") or "")
    if status == 404 or code == "resource_missing":
        return "NOT_FOUND"
    if code in _CURRENCY_CODES or param.endswith("currency]") or param == "currency":
        return "CURRENCY"
    if code in _AMOUNT_CODES or param.endswith("unit_amount]") or param == "amount":
        return "AMOUNT"
    return "UNKNOWN"


def _pause(error: stripe.StripeError) -> timedelta:
    headers: Any = error.headers or {}
    given = str(headers.get("retry-after", headers.get("Retry-After", "")))
    return timedelta(seconds=int(given)) if given.isdigit() else _PAUSE

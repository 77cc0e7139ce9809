"""Contract of kind `payment_provider`: what billing asks of whoever moves money, and what it hears back.

All that crosses is plain: strings, whole minor units, frozen dataclasses, `SecretRef`.

What every provider promises, whatever dies in between:
  one key, one effect   a call with a `key` that was used before does nothing new and answers with what the first one made;
  exact                 the amount charged is the amount asked for, or nothing is charged;
  present state         `fetch_checkout` tells what is so now; the order in which events arrive means nothing;
  no secrets            no card number or credential is in an answer, an error or an event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from .manifests import Manifest

CAPABILITIES = frozenset({"hosted_checkout", "unattended_charge", "refunds", "partial_refunds", "portal"})
"""What a provider may declare."""

REASONS = frozenset({
    "DECLINED", "AMOUNT", "CURRENCY", "AUTH", "NOT_FOUND", "CONFLICT", "SIGNATURE_INVALID", "SIGNATURE_TOO_OLD",
    "BODY_UNREADABLE", "WEBHOOK_UNCONFIGURED", "UNKNOWN",
})  # fmt: skip
"""Reasons of a `Permanent` from a provider. CONFLICT: the key was used for another call."""


@dataclass(frozen=True, slots=True)
class PaymentManifest:
    """Facts about a provider that hold without asking it."""

    capabilities: frozenset[str]
    currencies: frozenset[str]
    amount_steps: Mapping[str, int] = field(default_factory=dict)
    """Smallest step of a charge in minor units, by currency; 1 where none is named."""
    min_amounts: Mapping[str, int] = field(default_factory=dict)
    """Smallest charge in minor units, by currency; 1 where none is named."""

    def step(self, currency: str) -> int:
        """Smallest step of a charge in minor units."""
        return self.amount_steps.get(currency, 1)

    def takes(self, minor: int, currency: str) -> bool:
        """Whether a charge of this amount can be asked for."""
        fits = minor >= self.min_amounts.get(currency, 1) and minor % self.step(currency) == 0
        return currency in self.currencies and fits


def payment_manifest(manifest: Manifest) -> PaymentManifest:
    """The facts that a provider's `manifest.toml` adds: `currencies`, tables `amount_steps` and `min_amounts`."""
    extra = manifest.extra
    return PaymentManifest(
        capabilities=frozenset(manifest.capabilities),
        currencies=frozenset(extra["currencies"]),
        amount_steps=dict(extra.get("amount_steps", {})),
        min_amounts=dict(extra.get("min_amounts", {})),
    )


@dataclass(frozen=True, slots=True)
class Amount:
    """Money as it crosses the contract: minor units and an ISO 4217 code."""

    minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class CheckoutLine:
    """What the customer reads on the provider's page; the charge itself is `amount` of the checkout alone."""

    text: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class CheckoutPage:
    """A checkout that was made: the provider's id, and where the customer pays."""

    ref: str
    url: str


class PaymentState(StrEnum):
    """Where one payment stands."""

    PROCESSING = "processing"
    CAPTURED = "captured"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProviderPayment:
    """One payment at the provider."""

    ref: str
    amount: Amount
    state: PaymentState
    at: datetime
    """When it took its state."""
    reason: str = ""
    """Why it failed: a word of the provider's, such as `card_declined`."""
    is_final: bool = True
    """For a failed one: no retry will help."""
    metadata: Mapping[str, str] = field(default_factory=dict)


class CheckoutState(StrEnum):
    """Where a checkout stands at the provider."""

    OPEN = "open"
    COMPLETE = "complete"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A payment method that may be charged without the customer."""

    ref: str
    customer: str
    """The provider's id of the customer whose method it is."""
    label: str = ""
    """How the customer recognises it, such as `visa 4242`."""


@dataclass(frozen=True, slots=True)
class CheckoutStatus:
    """A checkout as it is now, with everything that was paid on it."""

    ref: str
    state: CheckoutState
    payments: tuple[ProviderPayment, ...] = ()
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What it was made with."""
    method: SavedMethod | None = None
    """The method that was saved, once a checkout with `save_method` is paid."""


class RefundState(StrEnum):
    """Where a refund stands at the provider."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProviderRefund:
    """One refund at the provider."""

    ref: str
    payment: str
    amount: Amount
    state: RefundState
    reason: str = ""


class DisputeState(StrEnum):
    """Where a dispute stands."""

    OPENED = "opened"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ProviderDispute:
    """A payment that its payer wants back through the bank."""

    ref: str
    payment: str
    amount: Amount
    state: DisputeState
    at: datetime
    """When it took its state."""
    reason: str = ""


class EventKind(StrEnum):
    """What a provider's event says, in our words."""

    PAYMENT_AUTHORISED = "payment.authorised"
    PAYMENT_CAPTURED = "payment.captured"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_CANCELLED = "payment.cancelled"
    CHECKOUT_EXPIRED = "checkout.expired"
    REFUND_SUCCEEDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"
    METHOD_ATTACHED = "method.attached"
    METHOD_EXPIRED = "method.expired"


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event whose signature held."""

    id: str
    type: str
    """The provider's own word."""
    body: bytes


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """An event in our words. It says what to fetch, never what to book."""

    id: str
    kind: EventKind
    ref: str
    """The provider's id of the checkout, payment, refund, dispute or method."""
    checkout: str = ""
    """For a payment: the provider's id of the checkout on which it was made, where the event names it."""
    payment: str = ""
    """For a refund or dispute: the provider's id of the payment."""


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """A page of payments, oldest first."""

    payments: Sequence[ProviderPayment]
    next_cursor: str = ""


class PaymentProvider(Protocol):
    """Whoever moves money. Only the four errors of the SDK leave it; a `Permanent` carries one of REASONS."""

    manifest: PaymentManifest

    async def ensure_customer(self, *, key: str, name: str, email: str, metadata: Mapping[str, str]) -> str:
        """The provider's id of this customer."""
        ...

    async def create_checkout(
        self, *, key: str, amount: Amount, lines: Sequence[CheckoutLine], metadata: Mapping[str, str],
        expires_at: datetime, return_url: str = "", save_method: bool = False, customer: str = "",
    ) -> CheckoutPage:  # fmt: skip
        """Make a page on which exactly `amount` is paid, until `expires_at`. Capability `hosted_checkout`."""
        ...

    async def fetch_checkout(self, *, ref: str) -> CheckoutStatus:
        """The checkout as it is now."""
        ...

    async def fetch_payment(self, *, ref: str) -> ProviderPayment:
        """One payment as it is now, with the metadata of its checkout or charge."""
        ...

    async def fetch_dispute(self, *, ref: str) -> ProviderDispute:
        """One dispute as it is now."""
        ...

    async def expire_checkout(self, *, ref: str) -> CheckoutStatus:
        """Close it for payment. One that is paid, failed or closed stays as it is; the answer tells."""
        ...

    async def charge(
        self, *, key: str, customer: str, method: str, amount: Amount, metadata: Mapping[str, str]
    ) -> ProviderPayment:
        """Charge a saved method without the customer. Capability `unattended_charge`."""
        ...

    async def refund(self, *, key: str, payment: str, amount: Amount) -> ProviderRefund:
        """Send money back; called again with the same key it tells how the refund stands. Capability `refunds`.

        Less than the whole payment needs the capability `partial_refunds`.
        """
        ...

    async def portal_url(self, *, customer: str, return_url: str) -> str:
        """Where a customer manages payment methods. Capability `portal`."""
        ...

    async def verify_webhook(self, *, headers: Mapping[str, str], body: bytes) -> RawEvent:
        """Check signature and age of a call from the provider. Header names are lower case.

        Two secrets are good at a time, so that one can be changed while calls signed by the other are on their way.

        Raises Permanent: SIGNATURE_INVALID, SIGNATURE_TOO_OLD, BODY_UNREADABLE, WEBHOOK_UNCONFIGURED.
        """
        ...

    async def normalise(self, *, event: RawEvent) -> PaymentEvent | None:
        """The event in our words; None for a type that means nothing to us."""
        ...

    async def list_payments(self, *, since: datetime, cursor: str = "") -> PaymentPage:
        """Every payment that changed at or after `since`."""
        ...

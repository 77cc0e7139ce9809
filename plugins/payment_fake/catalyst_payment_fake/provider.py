"""The provider: the contract's calls over the fake's books.

Invariants
  one key        a key makes one checkout, charge or refund, over restarts too;
  no more back   what is refunded of a payment never passes what was captured of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from catalyst_sdk import NotSupported, Permanent, Secret, SecretRef, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.payment import (
    Amount,
    CheckoutLine,
    CheckoutPage,
    CheckoutStatus,
    DisputeState,
    PaymentEvent,
    PaymentPage,
    PaymentState,
    ProviderDispute,
    ProviderPayment,
    ProviderRefund,
    RawEvent,
    RefundState,
    SavedMethod,
    payment_manifest,
)

from . import scripts, webhooks
from .books import PROVIDER, Books
from .scripts import Script

DECLINED = "fm_declined"
"""A saved method whose charges are declined, whatever the script."""
PAGE = 100
"""Payments on one page."""


class FakeProvider:
    """A payment provider that moves no money."""

    def __init__(self, context: PluginContext) -> None:
        self.manifest = payment_manifest(load_manifest(Path(__file__).with_name("manifest.toml")))
        self._clock = context.clock
        self._secrets = context.secrets
        self._config = context.config
        self.books = Books(context.folder)

    async def ensure_customer(self, *, key: str, name: str, email: str, metadata: Mapping[str, str]) -> str:
        """The same customer for the same key."""
        return _id("fcu", key)

    async def create_checkout(
        self, *, key: str, amount: Amount, lines: Sequence[CheckoutLine], metadata: Mapping[str, str],
        expires_at: datetime, return_url: str = "", save_method: bool = False, customer: str = "",
    ) -> CheckoutPage:  # fmt: skip
        """A page that nobody has to visit: the script pays."""
        ref, call = _id("fc", key), ["checkout", amount.minor, amount.currency]
        if not self.books.used(key, call):
            self._check(amount)
            self.books.checkouts[ref] = {
                "minor": amount.minor, "currency": amount.currency, "metadata": dict(metadata),
                "script": self._script(metadata), "delay": self._config.get("delay_seconds", 2), "closed_at": None,
                "created_at": self._clock.now().isoformat(), "expires_at": expires_at.isoformat(),
                "customer": customer if save_method else "",
            }  # fmt: skip
            self.books.keep(key, call)
        return CheckoutPage(ref, f"https://pay.fake.invalid/{ref}")

    async def fetch_checkout(self, *, ref: str) -> CheckoutStatus:
        """What the script made of it until now."""
        status = scripts.status(self.books.checkout(ref), self._clock.now())
        customer = self.books.checkouts[ref].get("customer", "")
        if not customer or not _captured(status):
            return status
        return replace(status, method=SavedMethod(f"fm_{ref.removeprefix('fc_')}", customer, "fake 4242"))

    async def fetch_payment(self, *, ref: str) -> ProviderPayment:
        """What became of it until now."""
        found = {payment.ref: payment for payment in self.payments()}.get(ref)
        if found is None:
            raise Permanent("NOT_FOUND", f"there is no payment {ref}", provider=PROVIDER)
        return found

    async def fetch_dispute(self, *, ref: str) -> ProviderDispute:
        """As the test that made it left it."""
        row = self.books.disputes.get(ref)
        if row is None:
            raise Permanent("NOT_FOUND", f"there is no dispute {ref}", provider=PROVIDER)
        amount, at = Amount(row["minor"], row["currency"]), datetime.fromisoformat(row["at"])
        return ProviderDispute(ref, row["payment"], amount, DisputeState(row["state"]), at, "fraudulent")

    async def expire_checkout(self, *, ref: str) -> CheckoutStatus:
        """Close it; what is paid stays paid."""
        checkout = self.books.checkout(ref)
        if checkout.closed_at is None and not _captured(scripts.status(checkout, self._clock.now())):
            self.books.checkouts[ref]["closed_at"] = self._clock.now().isoformat()
            self.books.write()
        return await self.fetch_checkout(ref=ref)

    async def charge(
        self, *, key: str, customer: str, method: str, amount: Amount, metadata: Mapping[str, str]
    ) -> ProviderPayment:
        """Paid or declined at once, after the payer's script."""
        ref, call = _id("fp", key), ["charge", customer, method, amount.minor, amount.currency]
        if not self.books.used(key, call):
            self._check(amount)
            declined = method == DECLINED or self._script(metadata) == Script.DECLINE
            self.books.charges[ref] = {
                "minor": amount.minor, "currency": amount.currency, "metadata": dict(metadata),
                "state": PaymentState.FAILED if declined else PaymentState.CAPTURED,
                "at": self._clock.now().isoformat(),
            }  # fmt: skip
            self.books.keep(key, call)
        return self._charge(ref)

    async def refund(self, *, key: str, payment: str, amount: Amount) -> ProviderRefund:
        """Done at once."""
        ref, call = _id("fr", key), ["refund", payment, amount.minor, amount.currency]
        if not self.books.used(key, call):
            self._check_refund(payment, amount)
            self.books.refunds[ref] = {"payment": payment, "minor": amount.minor, "currency": amount.currency}
            self.books.keep(key, call)
        return ProviderRefund(ref, payment, amount, RefundState.SUCCEEDED)

    async def portal_url(self, *, customer: str, return_url: str) -> str:
        """There is none."""
        raise NotSupported("portal", provider=PROVIDER)

    async def verify_webhook(self, *, headers: Mapping[str, str], body: bytes) -> RawEvent:
        """Check a call signed by `webhooks.signature`."""
        given = self._config.get("webhook_secret")
        if not given:
            raise Permanent("WEBHOOK_UNCONFIGURED", "no webhook_secret is configured", provider=PROVIDER)
        names = [given, *filter(None, [self._config.get("webhook_secret_before")])]
        secrets = [await self._secret(name) for name in names]
        return webhooks.verify(headers, body, secrets, self._clock.now())

    async def normalise(self, *, event: RawEvent) -> PaymentEvent | None:
        """The event in the contract's words."""
        return webhooks.normalise(event)

    async def list_payments(self, *, since: datetime, cursor: str = "") -> PaymentPage:
        """Everything that was tried, oldest first."""
        found = sorted((p for p in self.payments() if p.at >= since), key=lambda p: (p.at, p.ref))
        rest = [p for p in found if f"{p.at.isoformat()} {p.ref}" > cursor]
        page = rest[:PAGE]
        more = f"{page[-1].at.isoformat()} {page[-1].ref}" if len(rest) > PAGE else ""
        return PaymentPage(page, more)

    def play(self, ref: str, script: Script) -> None:
        """Go on with another script from now: how a test lets a customer pay or be declined."""
        self.books.checkouts[ref] |= {"script": script.value, "created_at": self._clock.now().isoformat()}
        self.books.write()

    def dispute(self, payment: str, state: DisputeState, minor: int | None = None) -> str:
        """Have the payer's bank dispute a payment, or decide a dispute; the dispute's id. For tests."""
        ref, known = _id("fd", payment), {p.ref: p for p in self.payments()}[payment]
        self.books.disputes[ref] = {
            "payment": payment, "minor": minor or known.amount.minor, "currency": known.amount.currency,
            "state": state.value, "at": self._clock.now().isoformat(),
        }  # fmt: skip
        self.books.write()
        return ref

    async def calls(self) -> list[webhooks.Call]:
        """Every webhook that the fake would have sent by now, signed now; of `lost_webhook` none."""
        secret = await self._secret(self._config["webhook_secret"])
        return [webhooks.signed(event, secret, self._clock.now()) for event in self._events()]

    def _events(self) -> Iterator[Mapping[str, str]]:
        for ref, row in self.books.checkouts.items():
            if row["script"] != Script.LOST_WEBHOOK:
                yield from webhooks.of_checkout(scripts.status(self.books.checkout(ref), self._clock.now()))
        for ref, row in self.books.refunds.items():
            yield webhooks.of_refund(ref, row["payment"])
        for ref, row in self.books.disputes.items():
            yield webhooks.of_dispute(ref, row["payment"], row["state"])

    async def _secret(self, given: SecretRef | str) -> Secret:
        return await self._secrets.resolve(given if isinstance(given, SecretRef) else SecretRef(str(given)))

    def payments(self) -> list[ProviderPayment]:
        """Every payment in the books, in no order."""
        now = self._clock.now()
        of_checkouts = [
            p for ref in self.books.checkouts for p in scripts.status(self.books.checkout(ref), now).payments
        ]
        return [*of_checkouts, *(self._charge(ref) for ref in self.books.charges)]

    def _charge(self, ref: str) -> ProviderPayment:
        row = self.books.charges[ref]
        state = PaymentState(row["state"])
        return ProviderPayment(
            ref, Amount(row["minor"], row["currency"]), state, datetime.fromisoformat(row["at"]),
            reason="card_declined" if state is PaymentState.FAILED else "", metadata=row["metadata"],
        )  # fmt: skip

    def _script(self, metadata: Mapping[str, str]) -> str:
        by_org: Mapping[str, str] = self._config.get("scripts", {})
        org = metadata.get("org", "").removeprefix("organizations/")
        return Script(by_org.get(org, self._config.get("script", Script.PAY)))

    def _check(self, amount: Amount) -> None:
        if amount.currency not in self.manifest.currencies:
            raise Permanent("CURRENCY", f"{amount.currency} is not taken", provider=PROVIDER)
        if not self.manifest.takes(amount.minor, amount.currency):
            raise Permanent("AMOUNT", f"{amount.minor} {amount.currency} cannot be charged", provider=PROVIDER)

    def _check_refund(self, payment: str, amount: Amount) -> None:
        captured = {p.ref: p for p in self.payments() if p.state is PaymentState.CAPTURED}.get(payment)
        if captured is None or captured.amount.currency != amount.currency:
            raise Permanent("NOT_FOUND", f"there is no captured payment {payment}", provider=PROVIDER)
        before = sum(row["minor"] for row in self.books.refunds.values() if row["payment"] == payment)
        if not 0 < amount.minor <= captured.amount.minor - before:
            left = captured.amount.minor - before
            raise Permanent("AMOUNT", f"{left} minor units of {payment} are left to refund", provider=PROVIDER)


def _captured(status: CheckoutStatus) -> bool:
    return any(payment.state is PaymentState.CAPTURED for payment in status.payments)


def _id(prefix: str, key: str) -> str:
    return f"{prefix}_{sha256(key.encode()).hexdigest()[:20]}"

"""Payment providers as the rest of billing asks for them."""

from typing import cast

from catalyst_mesh import PluginHost, PluginUnavailable
from catalyst_sdk.payment import PaymentManifest, PaymentProvider

from .domain.money import Money
from .domain.orders import PaymentUnavailable
from .domain.subscriptions import Subscription

KIND = "payment_provider"


class Providers:
    """The payment plugins of this daemon. One that is missing leaves orders payable by credit alone."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host

    def get(self, name: str) -> PaymentProvider:
        """The guarded plugin. Raises PluginUnavailable."""
        return cast(PaymentProvider, self._host.get(KIND, name))

    def step(self, currency: str) -> int:
        """The step in minor units to which a card part is rounded down: that of the first provider."""
        names = self._host.names(KIND)
        return self.get(names[0]).manifest.step(currency) if names else 1

    def can_charge(self, subscription: Subscription, amount: Money) -> bool:
        """Whether the provider of a subscription's saved method can be asked for `amount`."""
        try:
            manifest = self._manifest(subscription.provider, amount)
        except PaymentUnavailable:
            return False
        return "unattended_charge" in manifest.capabilities and manifest.takes(amount.minor, amount.currency)

    def choose(self, wanted: str, due: Money) -> str:
        """Name of the provider that takes `due`: `wanted`, or the first one. Raises PaymentUnavailable."""
        if not due:
            return ""
        for name in [wanted] if wanted else self._host.names(KIND):
            if self._manifest(name, due).takes(due.minor, due.currency):
                return name
        raise PaymentUnavailable(due=due, why=f"{wanted or 'no payment provider'} takes it")

    def _manifest(self, name: str, due: Money) -> PaymentManifest:
        try:
            return self.get(name).manifest
        except PluginUnavailable as refusal:
            raise PaymentUnavailable(due=due, why=refusal.sentence) from refusal

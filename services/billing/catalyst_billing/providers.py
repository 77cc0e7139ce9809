"""Payment providers as the rest of billing asks for them."""

from typing import cast

from catalyst_mesh import PluginHost, PluginUnavailable
from catalyst_sdk.payment import PaymentManifest, PaymentProvider

from .domain.money import Money
from .domain.orders import PaymentUnavailable

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

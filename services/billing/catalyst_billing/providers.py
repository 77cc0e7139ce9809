"""Payment providers as the rest of billing asks for them: plugins, with what admins have set for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from catalyst_mesh import PluginHost, PluginUnavailable, Work
from catalyst_sdk import Manifest
from catalyst_sdk.payment import PaymentManifest, PaymentProvider, payment_manifest

from .domain.money import Money
from .domain.orders import PaymentUnavailable
from .domain.providers import Provider
from .domain.subscriptions import Subscription
from .store import Store

KIND = "payment_provider"
BEFORE = "_before"
"""Ending of the setting that has the value which a secret had before, for providers that take both."""


@dataclass(frozen=True, slots=True)
class Known:
    """A provider as it stands: what can be had of it, or why nothing."""

    name: str
    plugin: PaymentProvider | None
    manifest: Manifest | None
    failure: str
    setting: Provider | None

    @property
    def is_enabled(self) -> bool:
        """An admin's word; without one, a provider that works is on."""
        return self.setting.is_enabled if self.setting else True

    @property
    def facts(self) -> PaymentManifest | None:
        """What holds without asking it."""
        return payment_manifest(self.manifest) if self.manifest else None


class Providers:
    """The payment plugins of this daemon. One that is missing leaves orders payable by credit alone."""

    def __init__(self, host: PluginHost, work: Work[Store], configured: Mapping[str, Mapping[str, Any]]) -> None:
        """Wire it; `configured` has the daemon's own settings by `kind:name`."""
        self._host = host
        self._work = work
        self._configured = configured
        self._known: dict[str, Known] = {}
        self._seen: dict[str, int] | None = None

    async def refresh(self) -> None:
        """See what admins have changed, here or at another replica; before whatever asks for a provider."""
        async with self._work.reading() as tx:
            settings = await tx.providers()
            seen = {setting.id: setting.version for setting in settings}
            if seen == self._seen:
                return
            secrets = {s.id: [x for x in await tx.provider_secrets(s.id) if x.is_configured] for s in settings}
        by_name = {setting.id: setting for setting in settings}
        names = {plugin.name for plugin in self._host.plugins if plugin.kind == KIND} | set(by_name)
        changed = {name for name in names if self._seen is None or seen.get(name) != self._seen.get(name)}
        for name in changed:
            fields = [secret.field for secret in secrets.get(name, [])]
            self._known[name] = self._made(name, by_name.get(name), fields)
        self._seen = seen

    def known(self) -> list[Known]:
        """Every provider, those whose plugin is missing too, by name."""
        return [self._known[name] for name in sorted(self._known)]

    def working(self) -> list[str]:
        """Names of those that can be asked, switched on or off."""
        return [known.name for known in self.known() if known.plugin is not None]

    def get(self, name: str) -> PaymentProvider:
        """The guarded plugin, switched on or off: what was begun is ended. Raises PluginUnavailable."""
        known = self._known.get(name)
        if known is None:
            return cast(PaymentProvider, self._host.get(KIND, name))
        if known.plugin is None:
            raise PluginUnavailable(plugin=f"{KIND}:{name}", why=known.failure)
        return known.plugin

    def step(self, currency: str) -> int:
        """The step in minor units to which a card part is rounded down: that of the first provider for the currency."""
        for known in self._on():
            if currency in known.manifest.currencies:
                return known.manifest.step(currency)
        return 1

    def can_charge(self, subscription: Subscription, amount: Money) -> bool:
        """Whether the provider of a subscription's saved method can be asked for `amount`."""
        return any(
            known.name == subscription.provider
            and "unattended_charge" in known.manifest.capabilities
            and known.manifest.takes(amount.minor, amount.currency)
            for known in self._on()
        )

    def choose(self, wanted: str, due: Money) -> str:
        """Name of the provider that takes `due`: `wanted`, or the first one. Raises PaymentUnavailable."""
        if not due:
            return ""
        for known in self._on():
            if wanted in ("", known.name) and known.manifest.takes(due.minor, due.currency):
                return known.name
        raise PaymentUnavailable(due=due, why=f"{wanted or 'no payment provider'} takes it")

    def least(self, wanted: str, currency: str) -> int:
        """The smallest charge in minor units that `wanted`, or any provider, takes."""
        found = [known.manifest for known in self._on() if wanted in ("", known.name)]
        return min(
            (m.min_amounts.get(currency, m.step(currency)) for m in found if currency in m.currencies), default=1
        )

    def step_of(self, name: str, currency: str) -> int:
        """The step of one provider, switched on or off; 1 where it is missing. No setting changes it: its plugin tells."""
        return next(
            (
                payment_manifest(plugin.manifest).step(currency)
                for plugin in self._host.plugins
                if (plugin.kind, plugin.name) == (KIND, name) and plugin.manifest is not None
            ),
            1,
        )

    def able(self, capability: str) -> str:
        """Name of the first provider that has `capability`; empty: none."""
        return next((known.name for known in self._on() if capability in known.manifest.capabilities), "")

    def _on(self) -> "list[_On]":
        return [
            _On(known.name, known.plugin.manifest)
            for known in self.known()
            if known.plugin is not None and known.is_enabled
        ]

    def _made(self, name: str, setting: Provider | None, secrets: list[str]) -> Known:
        plugin = next((p for p in self._host.plugins if p.kind == KIND and p.name == name), None)
        manifest = plugin.manifest if plugin else None
        try:
            if setting is None or not (setting.config or secrets):
                return Known(name, cast(PaymentProvider, self._host.get(KIND, name)), manifest, "", setting)
            return Known(name, self.instance(name, setting.config, secrets), manifest, "", setting)
        except PluginUnavailable as refusal:
            return Known(name, None, manifest, str(refusal.metadata.get("why", refusal.sentence)), setting)

    def instance(self, name: str, config: Mapping[str, Any], secrets: list[str]) -> PaymentProvider:
        """The plugin with these settings over the daemon's own. Raises PluginUnavailable with what is wrong."""
        kept = {field: f"providers/{name}/{field}" for field in secrets}
        whole = {**self._configured.get(f"{KIND}:{name}", {}), **config, **kept}
        return cast(PaymentProvider, self._host.instance(KIND, name, whole))


@dataclass(frozen=True, slots=True)
class _On:
    """A provider that orders can be paid through."""

    name: str
    manifest: PaymentManifest

"""Calls of registrars' plugins within a request: what is counted and logged of them, and what callers are told."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from catalyst_mesh import PluginHost, get_logger
from catalyst_sdk import NotSupported, Permanent, PluginFailure, RateLimited, Refused, SecretRef
from catalyst_sdk.registrar import Access, Delegation, Registrar, RegistrarInfo, registrar_info

from catalyst_pool_domain_manager.domain import registrars
from catalyst_pool_domain_manager.domain.registrars import plugin_name, registrar_name
from catalyst_pool_domain_manager.metrics import PdmMetrics

KIND = "registrar"
_MISSING = "its plugin is not installed: pip install catalyst-registrar-{name}"
T = TypeVar("T")


class Registrars:
    """The registrars that there are, and calls of them."""

    def __init__(self, host: PluginHost, metrics: PdmMetrics) -> None:
        self._host = host
        self._calls = metrics.registrar_calls
        self._log = get_logger("registrars")

    def all(self) -> list[tuple[RegistrarInfo, str]]:
        """By resource name: each registrar, and why its plugin cannot be used."""
        found = {
            plugin.name: (registrar_info(plugin.manifest), plugin.failure)
            for plugin in self._host.plugins
            if plugin.kind == KIND and plugin.manifest is not None
        }
        for name, text in registrars.KNOWN.items():
            absent = RegistrarInfo(name, text, frozenset()), _MISSING.format(name=name)
            found.setdefault(name, absent)
        return sorted(found.values(), key=lambda one: registrar_name(one[0].name))

    def one(self, name: str) -> tuple[RegistrarInfo, str]:
        """One of them by its resource name. Raises RegistrarNotFound."""
        known = {registrar_name(info.name): (info, failure) for info, failure in self.all()}
        if name not in known:
            supported = ", ".join(one.removeprefix("registrars/") for one in known)
            raise registrars.RegistrarNotFound(registrar=name, supported=supported)
        return known[name]

    def info(self, name: str) -> RegistrarInfo:
        """One that can be used. Raises RegistrarNotFound, PluginUnavailable."""
        info, _ = self.one(name)
        self._host.get(KIND, plugin_name(name))
        return info

    async def validate(self, name: str, *, credential: SecretRef | None, domain: str) -> Access:
        """What a credential can do. Raises Refused where the registrar gave no answer to that."""
        plugin = self._plugin(name)
        return await self._called(name, domain, lambda: plugin.validate(credential=credential, domain=domain), _outcome)

    async def delegation(self, name: str, *, credential: SecretRef | None, domain: str) -> Delegation:
        """The delegation as the registrar has it. Raises Refused."""
        plugin = self._plugin(name)
        return await self._called(
            name, domain, lambda: plugin.delegation(credential=credential, domain=domain), lambda _: "OK"
        )

    def _plugin(self, name: str) -> Registrar:
        found: Registrar = self._host.get(KIND, plugin_name(name))
        return found

    async def _called(self, name: str, domain: str, call: Callable[[], Awaitable[T]], outcome: Callable[[T], str]) -> T:
        registrar = name.removeprefix("registrars/")
        try:
            answer = await call()
        except PluginFailure as failure:
            refusal = told(registrar, failure)
            self._noted(registrar, domain, refusal.reason)
            raise refusal from None  # what led to it is the plugin's, and may hold a request
        self._noted(registrar, domain, outcome(answer))
        return answer

    def _noted(self, registrar: str, domain: str, outcome: str) -> None:
        """One line and one count; of a call nothing but who, about what, and how it ended."""
        self._calls.labels(registrar, outcome).inc()
        write = self._log.debug if outcome == "OK" else self._log.info
        write("registrar call", registrar=registrar, domain=domain, outcome=outcome)


def _outcome(access: Access) -> str:
    return "OK" if access.valid or not access.obstacles else registrars.reason_of(access.obstacles[0].reason)


def told(registrar: str, failure: PluginFailure) -> Refused:
    """A plugin's failure as callers hear it."""
    if isinstance(failure, RateLimited):
        return registrars.RegistrarBusy(registrar, failure.retry_after)
    if isinstance(failure, NotSupported):
        return registrars.RegistrarUnable(registrar=registrar, detail=failure.message)
    if isinstance(failure, Permanent):
        reason = registrars.reason_of(failure.reason)
        if reason in registrars.RegistrarRefused.reasons:
            return registrars.RegistrarRefused(reason, registrar, failure)
        return registrars.RegistrarUnavailable("REGISTRAR_PROTOCOL_MISMATCH", registrar, failure.message)
    delay = getattr(failure, "delay", None)
    return registrars.RegistrarUnavailable("REGISTRAR_UNAVAILABLE", registrar, failure.message, delay)

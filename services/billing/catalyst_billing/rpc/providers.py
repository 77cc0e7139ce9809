"""ProviderService: payment providers as admins set them up, and the door for what they tell."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, InvalidRequest, Page, PluginUnavailable, Sealer, Work, sealed_at
from catalyst_sdk import Decision, Permanent, PluginFailure, Refused, Violation
from google.protobuf.json_format import MessageToDict

from ..domain import providers
from ..domain.providers import Change, ConfigInvalid, Provider, ProviderNotFound, ProviderSecret, Saved
from ..domain.webhooks import (
    MOST_BYTES,
    EventState,
    EventTooLarge,
    EventUnreadable,
    ProviderEvent,
    SignatureInvalid,
    SignatureTooOld,
    WebhookUnconfigured,
)
from ..providers import BEFORE, Known, Providers
from ..store import Store
from ..store.tables import provider_event, provider_secret
from . import provider_messages
from .names import check_etag, id_of
from .running import run

_REFUSALS: Mapping[str, type[Refused]] = {
    "SIGNATURE_INVALID": SignatureInvalid,
    "SIGNATURE_TOO_OLD": SignatureTooOld,
    "BODY_UNREADABLE": EventUnreadable,
}


class ProviderService(service_pb2_grpc.ProviderServiceServicer):
    """Payment providers."""

    def __init__(self, work: Work[Store], providers: Providers, sealer: Sealer) -> None:
        self._work = work
        self._providers = providers
        self._sealer = sealer

    async def GetProvider(self, request: service_pb2.GetProviderRequest, context: Context) -> resources_pb2.Provider:
        await self._providers.refresh()
        known = self._find(id_of(request.name))
        async with self._work.reading() as tx:
            return await self._shown(tx, known)

    async def ListProviders(
        self, request: service_pb2.ListProvidersRequest, context: Context
    ) -> service_pb2.ListProvidersResponse:
        page = Page.of(request.page_size, request.page_token)
        await self._providers.refresh()
        rest = [known for known in self._providers.known() if known.name > (page.after or "")]
        cut = page.cut(rest[: page.size + 1], lambda known: known.name)
        async with self._work.reading() as tx:
            shown = [await self._shown(tx, known) for known in cut.rows]
        return service_pb2.ListProvidersResponse(providers=shown, next_page_token=cut.next_page_token)

    async def UpdateProvider(
        self, request: service_pb2.UpdateProviderRequest, context: Context
    ) -> resources_pb2.Provider:
        await self._providers.refresh()
        wish, id = request.provider, id_of(request.provider.name)
        known = self._find(id)
        if known.manifest is None:
            raise PluginUnavailable(plugin=f"payment_provider:{id}", why=known.failure)
        paths = _paths(request)
        change, uid = _change(wish, paths), str(uuid4())
        seen: list[datetime | None] = []

        async def step(tx: Store) -> Decision[Saved]:
            setting = await tx.lock_provider(id)
            check_etag(request.etag, f"providers/{id}", setting.version if setting else 0)
            changed = providers.changed(setting, id, uid, change, tx.now)
            kept = await tx.provider_secrets(id)
            secrets = self._secrets(known, kept, wish, paths, tx.now)
            self._check(id, changed, secrets)
            seen.append(await tx.last_event(id))
            return Decision(Saved(changed, tuple(secrets)))

        def answer(saved: Saved) -> resources_pb2.Provider:
            after = replace(known, setting=saved.provider, failure="")
            return provider_messages.provider(after, saved.secrets, seen[-1])

        return await run(self._work, step, answer, validate_only=request.validate_only)

    async def ReceiveWebhook(
        self, request: service_pb2.ReceiveWebhookRequest, context: Context
    ) -> service_pb2.ReceiveWebhookResponse:
        body, headers = request.body.data, {name.lower(): value for name, value in request.headers.items()}
        if len(body) > MOST_BYTES:
            raise EventTooLarge(most=MOST_BYTES)
        await self._providers.refresh()
        name = self._find(request.provider).name
        try:
            raw = await self._providers.get(name).verify_webhook(headers=headers, body=body)
            event = await self._providers.get(name).normalise(event=raw)
        except Permanent as failure:
            if failure.reason in _REFUSALS:
                raise _REFUSALS[failure.reason] from failure
            raise WebhookUnconfigured(provider=f"providers/{name}", why=failure.message) from failure
        except (PluginFailure, PluginUnavailable) as failure:
            raise WebhookUnconfigured(provider=f"providers/{name}", why="its plugin does not work") from failure
        sealed = self._sealer.seal(body, sealed_at(provider_event.c.body, name, raw.id))

        async def step(tx: Store) -> bool:
            if await tx.lock_event(name, raw.id) is not None:
                return True
            kind, ref, checkout, payment = (event.kind, event.ref, event.checkout, event.payment) if event else [""] * 4
            state = EventState.WAITING if event else EventState.HANDLED
            await tx.save(
                ProviderEvent(
                    name, raw.id, raw.type, str(kind), ref, checkout, payment, sealed, state, tx.now, tx.now,
                    handled_at=None if event else tx.now,
                )
            )  # fmt: skip
            return False

        return service_pb2.ReceiveWebhookResponse(duplicate=await self._work.again(step))

    def _find(self, id: str) -> Known:
        for known in self._providers.known():
            if known.name == id:
                return known
        raise ProviderNotFound(provider=f"providers/{id}")

    async def _shown(self, tx: Store, known: Known) -> resources_pb2.Provider:
        secrets = await tx.provider_secrets(known.name)
        return provider_messages.provider(known, secrets, await tx.last_event(known.name))

    def _secrets(
        self, known: Known, kept: Collection[ProviderSecret], wish: resources_pb2.Provider, paths: Collection[str],
        now: datetime,
    ) -> list[ProviderSecret]:  # fmt: skip
        """All secrets after the update; of those that the mask does not name, none is touched."""
        by_field = {secret.field: secret for secret in kept}
        named = {path.removeprefix("secrets.") for path in paths if path.startswith("secrets.")}
        if "secrets" in paths:
            named |= set(wish.secrets) | set(by_field)
        known_fields = _secret_fields(known)
        if unknown := sorted(field for field in named if field not in known_fields and field not in by_field):
            raise InvalidRequest(tuple(Violation(f"provider.secrets.{f}", "no such secret", "field") for f in unknown))
        for field in named:
            given = wish.secrets[field] if field in wish.secrets else resources_pb2.ProviderSecret()
            self._set(by_field, known.name, field, given.value, given.secret_ref, now)
            if f"{field}{BEFORE}" in known_fields and (given.previous_value or not given.value):
                self._set(by_field, known.name, f"{field}{BEFORE}", given.previous_value, "", now)
        return list(by_field.values())

    def _set(
        self, by_field: dict[str, ProviderSecret], provider: str, field: str, value: str, ref: str, now: datetime
    ) -> None:
        base = by_field.get(field) or ProviderSecret(provider, field, now, version=0)
        there = sealed_at(provider_secret.c.sealed, provider, field)
        sealed = self._sealer.seal(value.encode(), there) if value else None
        by_field[field] = base.becoming(now, secret_ref=ref, sealed=sealed, value=value)

    def _check(self, id: str, changed: Provider, secrets: Collection[ProviderSecret]) -> None:
        try:
            self._providers.instance(id, changed.config, [s.field for s in secrets if s.is_configured])
        except PluginUnavailable as refusal:
            if changed.is_enabled:
                why = str(refusal.metadata.get("why", ""))
                violation = Violation("provider.config", why, "config")
                raise ConfigInvalid(provider=f"providers/{id}", why=why, violations=(violation,)) from refusal


def _paths(request: service_pb2.UpdateProviderRequest) -> frozenset[str]:
    """What the update is about; without a mask, whatever is set. Raises InvalidRequest."""
    given = frozenset(request.update_mask.paths)
    if "*" in given:
        return frozenset({"enabled", "config", "secrets"})
    wrong = [p for p in given if p.split(".")[0] not in ("enabled", "config", "secrets") or p.startswith("enabled.")]
    if wrong:
        raise InvalidRequest(tuple(Violation("update_mask", f"{p} cannot be changed", "mask") for p in sorted(wrong)))
    if given:
        return given
    fields = {field.name for field, _ in request.provider.ListFields()} & {"enabled", "config"}
    return frozenset(fields | {f"secrets.{name}" for name in request.provider.secrets})


def _change(wish: resources_pb2.Provider, paths: Collection[str]) -> Change:
    config: dict[str, Any] = MessageToDict(wish.config) if wish.HasField("config") else {}
    single = [path.removeprefix("config.") for path in paths if path.startswith("config.")]
    return Change(
        enabled=wish.enabled if "enabled" in paths else None,
        config={key: _whole(value) for key, value in config.items()} if "config" in paths else None,
        values={key: _whole(config.get(key)) for key in single},
    )


def _whole(value: Any) -> Any:
    """JSON of protobuf knows no whole numbers; schemas do."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _secret_fields(known: Known) -> frozenset[str]:
    properties = known.manifest.config.get("properties", {}) if known.manifest else {}
    return frozenset(name for name, rules in properties.items() if rules.get("x-secret"))

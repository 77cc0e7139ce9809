"""WebhookService."""

import secrets
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc
from catalyst_mesh import Context, Page, Sealer, Work, moment, sealed_at
from catalyst_sdk import Decision, Secret
from google.protobuf.empty_pb2 import Empty

from ..domain import webhooks
from ..domain.signing import secret_of, written
from ..domain.webhooks import Delivery, DeliveryNotFound, DeliveryState, ReplaySpanInvalid, Webhook, WebhookNotFound
from ..heard import TEST, cloud_event
from ..sending import Sender
from ..store import Store
from ..store.pages import place
from ..store.tables import webhook_secrets
from . import convert
from .masks import run, wanted
from .names import ADMINS, changeable, check_etag, organization, require

_STATES = {
    pb.WebhookDelivery.STATE_PENDING: DeliveryState.PENDING,
    pb.WebhookDelivery.STATE_DELIVERED: DeliveryState.DELIVERED,
    pb.WebhookDelivery.STATE_FAILED: DeliveryState.FAILED,
}


class WebhookService(service_pb2_grpc.WebhookServiceServicer):
    """Webhooks and their deliveries."""

    def __init__(self, work: Work[Store], sender: Sender, sealer: Sealer) -> None:
        self._work = work
        self._sender = sender
        self._sealer = sealer

    async def CreateWebhook(self, request: rpc.CreateWebhookRequest, context: Context) -> pb.Webhook:
        org, wish = require(request.parent, *ADMINS), request.webhook
        secret, drawn = _secret(wish.secret)
        await self._sender.demand(wish.url)
        id = f"wh-{secrets.token_hex(10)}"

        async def step(tx: Store) -> Decision[Webhook]:
            await changeable(tx, org)
            known = len(await tx.webhooks(org))
            decided = webhooks.create(known, org, wish.url, wish.types, id=id, now=tx.now)
            if not request.validate_only:
                await self._keep(tx, decided.state, secret)
            return decided

        shown = "" if request.validate_only else drawn
        return await run(self._work, step, partial(_shown, shown), validate_only=request.validate_only)

    async def GetWebhook(self, request: rpc.GetWebhookRequest, context: Context) -> pb.Webhook:
        require(request.name, *ADMINS)
        async with self._work.reading() as tx:
            return convert.webhook(await _webhook(tx, request.name))

    async def ListWebhooks(self, request: rpc.ListWebhooksRequest, context: Context) -> rpc.ListWebhooksResponse:
        org = require(request.parent, *ADMINS)
        page = Page.of(request.page_size, request.page_token, request.parent)
        async with self._work.reading() as tx:
            await organization(tx, org)
            cut = page.cut([one for one in await tx.webhooks(org) if one.id > (page.after or "")], lambda one: one.id)
        return rpc.ListWebhooksResponse(webhooks=map(convert.webhook, cut.rows), next_page_token=cut.next_page_token)

    async def UpdateWebhook(self, request: rpc.UpdateWebhookRequest, context: Context) -> pb.Webhook:
        org, given = require(request.webhook.name, *ADMINS), request.webhook
        paths = wanted(request.update_mask, given, {"url", "types"})
        values: dict[str, Any] = {"types": tuple(given.types)} if "types" in paths else {}
        if "url" in paths:
            await self._sender.demand(given.url)
            values["url"] = given.url

        async def step(tx: Store) -> Decision[Webhook]:
            await changeable(tx, org)
            held = await _webhook(tx, given.name, lock=True)
            check_etag(request.etag, held.name, held.version)
            return webhooks.change(held, values, tx.now)

        return await run(self._work, step, convert.webhook, validate_only=request.validate_only)

    async def DeleteWebhook(self, request: rpc.DeleteWebhookRequest, context: Context) -> Empty:
        org = require(request.name, *ADMINS)

        async def step(tx: Store) -> Decision[None]:
            await organization(tx, org, lock=True)
            held = await _webhook(tx, request.name, lock=True)
            check_etag(request.etag, held.name, held.version)
            if not request.validate_only:
                await tx.forget_webhook(held.org, held.id)
            return Decision(None, webhooks.delete(held, tx.now).events)

        return await run(self._work, step, lambda _: Empty(), validate_only=request.validate_only)

    async def EnableWebhook(self, request: rpc.EnableWebhookRequest, context: Context) -> pb.Webhook:
        return await self._moved(request.name, webhooks.enable)

    async def DisableWebhook(self, request: rpc.DisableWebhookRequest, context: Context) -> pb.Webhook:
        why = request.reason or "somebody disabled it"
        return await self._moved(request.name, lambda held, now: webhooks.disable(held, why, now))

    async def RotateWebhookSecret(self, request: rpc.RotateWebhookSecretRequest, context: Context) -> pb.Webhook:
        org = require(request.name, *ADMINS)
        secret, drawn = _secret(request.secret)

        async def step(tx: Store) -> Decision[Webhook]:
            await changeable(tx, org)
            decided = webhooks.turn_secret(await _webhook(tx, request.name, lock=True), tx.now)
            await self._keep(tx, decided.state, secret)
            return decided

        return await self._work.run(step, answer=partial(_shown, drawn))

    async def TestWebhook(self, request: rpc.TestWebhookRequest, context: Context) -> pb.WebhookDelivery:
        org, id = require(request.name, *ADMINS), str(uuid4())

        async def step(tx: Store) -> Decision[Delivery]:
            await organization(tx, org)
            held = await _webhook(tx, request.name, lock=True)
            webhooks.demand_enabled(held)
            body = cloud_event(
                id, TEST, "/catalyst/environment", held.name, tx.now, {"webhook": held.name}, held.version
            )
            return Decision(webhooks.begin(held, id, TEST, body, tx.now, tx.now))

        return await self._work.run(step, answer=convert.delivery)

    async def ReplayWebhook(self, request: rpc.ReplayWebhookRequest, context: Context) -> rpc.ReplayWebhookResponse:
        org = require(request.name, *ADMINS)

        async def step(tx: Store) -> Decision[list[Delivery]]:
            await organization(tx, org)
            held = await _webhook(tx, request.name, lock=True)
            webhooks.demand_enabled(held)
            return Decision([webhooks.replay(one, tx.now) for one in await _wished(tx, held, request)])

        return await self._work.run(step, answer=lambda sent: rpc.ReplayWebhookResponse(delivery_count=len(sent)))

    async def GetWebhookDelivery(self, request: rpc.GetWebhookDeliveryRequest, context: Context) -> pb.WebhookDelivery:
        require(request.name, *ADMINS)
        async with self._work.reading() as tx:
            return convert.delivery(await _delivery(tx, request.name))

    async def ListWebhookDeliveries(
        self, request: rpc.ListWebhookDeliveriesRequest, context: Context
    ) -> rpc.ListWebhookDeliveriesResponse:
        org = require(request.parent, *ADMINS)
        page = Page.of(request.page_size, request.page_token, request.parent, request.state)
        states = [_STATES[request.state]] if request.state else list(DeliveryState)
        async with self._work.reading() as tx:
            held = await _webhook(tx, request.parent)
            cut = page.cut(await tx.deliveries(org, held.id, page, states), place)
        return rpc.ListWebhookDeliveriesResponse(
            webhook_deliveries=map(convert.delivery, cut.rows), next_page_token=cut.next_page_token
        )

    async def _moved(self, name: str, move: Callable[[Webhook, datetime], Decision[Webhook]]) -> pb.Webhook:
        org = require(name, *ADMINS)

        async def step(tx: Store) -> Decision[Webhook]:
            await organization(tx, org)
            return move(await _webhook(tx, name, lock=True), tx.now)

        return await self._work.run(step, answer=convert.webhook)

    async def _keep(self, tx: Store, held: Webhook, secret: Secret) -> None:
        there = sealed_at(webhook_secrets.c.sealed, held.org, held.id, held.version)
        await tx.add_secret(held.org, held.id, held.version, self._sealer.seal(secret.reveal_bytes(), there))


async def _webhook(tx: Store, name: str, *, lock: bool = False) -> Webhook:
    _, org, _, id = name.split("/")[:4]
    held = await tx.find(Webhook, org, id, lock=lock)
    if held is None:
        raise WebhookNotFound(webhook=name)
    return held


async def _delivery(tx: Store, name: str, *, lock: bool = False) -> Delivery:
    _, org, _, webhook, _, id = name.split("/")
    held = await tx.find(Delivery, org, webhook, id, lock=lock)
    if held is None:
        raise DeliveryNotFound(delivery=name)
    return held


async def _wished(tx: Store, held: Webhook, request: rpc.ReplayWebhookRequest) -> list[Delivery]:
    """What a replay names. Raises DeliveryNotFound, ReplaySpanInvalid."""
    if request.delivery:
        if not request.delivery.startswith(f"{held.name}/deliveries/") or request.delivery.count("/") != 5:
            raise ReplaySpanInvalid
        return [await _delivery(tx, request.delivery, lock=True)]
    end = moment(request.end_time) if request.HasField("end_time") else tx.now
    if not request.HasField("start_time") or moment(request.start_time) >= end:
        raise ReplaySpanInvalid
    return await tx.delivered_between(held.org, held.id, moment(request.start_time), end)


def _secret(given: str) -> tuple[Secret, str]:
    """The secret that counts, and how it is shown where nobody gave it. Raises WebhookSecretInvalid."""
    if given:
        return secret_of(given), ""
    drawn = secrets.token_bytes(32)
    return Secret(drawn), written(drawn)


def _shown(drawn: str, held: Webhook) -> pb.Webhook:
    return convert.webhook(held, drawn)

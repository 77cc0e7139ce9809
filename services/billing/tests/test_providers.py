"""Payment providers as admins set them up, over gRPC."""

from typing import Any

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst_billing.providers import Providers
from catalyst_billing.store import tables as t
from catalyst_payment_fake import webhooks
from catalyst_sdk import Secret
from catalyst_testkit.daemons import reason_of
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import Struct
from sqlalchemy import select

from .conftest import Billing, Start, heard

pytestmark = pytest.mark.either_database

NEW, OLD = "whsec_new_0123456789abcd", "whsec_old_0123456789efgh"


def admin(billing: Billing) -> Any:
    return billing.daemon.admin(stubs.ProviderServiceStub)


async def update(billing: Billing, *paths: str, etag: str = "", **fields: Any) -> pb.Provider:
    known = await admin(billing).GetProvider(rpc.GetProviderRequest(name="providers/fake"))
    config = Struct()
    config.update(fields.pop("config", {}))
    wish = pb.Provider(name="providers/fake", config=config if config.fields else None, **fields)
    return await admin(billing).UpdateProvider(
        rpc.UpdateProviderRequest(provider=wish, update_mask=FieldMask(paths=paths), etag=etag or known.etag)
    )


async def test_the_step_of_what_goes_back_is_known_to_a_replica_that_nobody_asked_for_a_provider_yet(
    billing: Billing,
) -> None:
    daemon: Any = billing.daemon.daemon
    fresh = Providers(daemon.plugins, daemon.work, {})
    assert fresh.known() == []
    steps = {"stripe": 10, "fake": 1, "gone": 1}
    assert {name: fresh.step_of(name, "OMR") for name in steps} == steps


async def test_a_provider_tells_what_it_can_do_and_no_secret(billing: Billing) -> None:
    known = {p.name: p for p in (await admin(billing).ListProviders(rpc.ListProvidersRequest())).providers}
    shown = known["providers/fake"]
    assert (shown.name, shown.state, shown.enabled) == ("providers/fake", pb.Provider.STATE_ACTIVE, True)
    assert {"hosted_checkout", "partial_refunds"} < set(shown.capabilities)
    assert "OMR" in shown.currencies
    missing = admin(billing).GetProvider(rpc.GetProviderRequest(name="providers/stripe-of-another"))
    assert await reason_of(missing) == "PROVIDER_NOT_FOUND"


async def test_saving_one_secret_never_touches_another_and_shows_its_last_four(billing: Billing) -> None:
    secret = {"webhook_secret": pb.ProviderSecret(value=NEW, previous_value=OLD)}
    saved = await update(billing, "secrets.webhook_secret", secrets=secret)
    again = await update(billing, "config.delay_seconds", config={"delay_seconds": 7})
    assert dict(again.config) == {"delay_seconds": 7}
    for shown in (saved, again):
        kept = shown.secrets["webhook_secret"]
        assert (kept.configured, kept.last_four, kept.value, kept.previous_value) == (True, "abcd", "", "")
    stub = billing.daemon.stub(stubs.ProviderServiceStub, token="")
    for n, value in enumerate((NEW, OLD)):
        event = {"id": f"e-{n}", "type": "coffee.brewed", "ref": "x"}
        told = await stub.ReceiveWebhook(heard(webhooks.signed(event, Secret(value), billing.clock.now())))
        assert not told.duplicate
    cleared = await update(billing, "secrets.webhook_secret")
    assert "webhook_secret" not in cleared.secrets
    assert dict(cleared.config) == {"delay_seconds": 7}


async def test_a_provider_that_is_switched_off_takes_no_order_and_still_hears(billing: Billing) -> None:
    quote = await billing.quote()
    assert (await update(billing, "enabled", enabled=False)).state == pb.Provider.STATE_DISABLED
    assert await reason_of(billing.submit(quote)) == "PAYMENT_UNAVAILABLE"
    event = webhooks.signed({"id": "e", "type": "x", "ref": "x"}, Secret("whsec of the tests"), billing.clock.now())
    assert await billing.hear(event) == [False]
    await update(billing, "enabled", enabled=True)
    await billing.reached(await billing.submit(quote), "PAID")


@pytest.mark.parametrize(
    ("paths", "fields", "reason"),
    [
        (["config.script"], {"config": {"script": "no such script"}}, "CONFIG_INVALID"),
        (["config"], {"config": {"no_such": 1}}, "CONFIG_INVALID"),
        (["state"], {}, "REQUEST_INVALID"),
        (["secrets.no_such"], {"secrets": {"no_such": pb.ProviderSecret(value="x")}}, "REQUEST_INVALID"),
        (["enabled"], {"enabled": True, "etag": '"7"'}, "ETAG_MISMATCH"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(
    billing: Billing, paths: list[str], fields: dict[str, Any], reason: str
) -> None:
    assert await reason_of(update(billing, *paths, **fields)) == reason
    assert await billing.count("provider") == await billing.count("provider_secret") == 0


async def test_secrets_outlive_a_restart_and_stand_sealed(start: Start) -> None:
    async with start() as billing:
        await update(billing, "secrets.webhook_secret", secrets={"webhook_secret": pb.ProviderSecret(value=NEW)})
    async with start() as billing:
        event = webhooks.signed({"id": "e", "type": "x", "ref": "x"}, Secret(NEW), billing.clock.now())
        assert await billing.hear(event) == [False]
        shown = await admin(billing).GetProvider(rpc.GetProviderRequest(name="providers/fake"))
        assert [c.type for c in shown.conditions] == ["PluginReady", "WebhookReceived"]
        async with billing.daemon.daemon.db.read() as sql:
            rows = [*await sql.execute(select(t.provider_secret)), *await sql.execute(select(t.provider))]
        assert NEW not in repr(rows)
        assert NEW.encode() not in b"".join(bytes(value) for row in rows for value in row if isinstance(value, bytes))

"""Webhooks from the outside: what an Organization asked to be told arrives, signed, until it was taken."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst_environment.domain.webhooks import WebhookUrlRefused
from catalyst_environment.sending import Sender
from catalyst_environment.store.tables import webhook_secrets
from catalyst_environment.workers.courier import UNREADABLE
from catalyst_mesh import Database
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from sqlalchemy import select, update

from .conftest import Start
from .house import NOON, House
from .receiver import Receiver, receiving

ORG = "organizations/acme"
Hooks = stubs.WebhookServiceStub
Members = stubs.MemberServiceStub
INVITED = "catalyst.v1.environment.member.*"
pytestmark = pytest.mark.either_database


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def house(start: Start) -> AsyncIterator[House]:
    async with start(allow_private_webhooks=True) as one:
        await one.active()
        yield one


async def hooked(house: House, receiver: Receiver, *types: str, secret: str = "", owner: str = "ada") -> pb.Webhook:
    org = ORG if owner == "ada" else "organizations/rival"
    wish = pb.Webhook(url=receiver.url, types=types or (INVITED,), secret=secret)
    return await house.person(Hooks, owner).CreateWebhook(rpc.CreateWebhookRequest(parent=org, webhook=wish))


async def invite(house: House, email: str, owner: str = "ada") -> None:
    invitation = pb.Invitation(email=email, role=pb.Member.ROLE_VIEWER)
    org = ORG if owner == "ada" else "organizations/rival"
    await house.person(Members, owner).CreateInvitation(rpc.CreateInvitationRequest(parent=org, invitation=invitation))


async def arrived(receiver: Receiver, count: int) -> None:
    await eventually(lambda: len(receiver.got) >= count, within=60, what=f"{count} events arrived")


async def first(house: House, one: pb.Webhook, state: int) -> pb.WebhookDelivery:
    """The newest delivery of a webhook, once it is in `state`."""

    async def check() -> Any:
        asked = rpc.ListWebhookDeliveriesRequest(parent=one.name)
        found = (await house.person(Hooks).ListWebhookDeliveries(asked)).webhook_deliveries
        return found[0] if found and found[0].state == state else None

    delivery: pb.WebhookDelivery = await eventually(check, within=60, what="its delivery")
    return delivery


async def test_what_happens_to_an_organization_is_told_to_its_own_addresses_alone(
    house: House, receiver: Receiver
) -> None:
    await house.active("rival", "eve")
    one = await hooked(house, receiver)
    async with receiving() as other:
        await hooked(house, other, "*", owner="eve")
        await invite(house, "bo@x.example")
        await invite(house, "cy@x.example", owner="eve")
        await arrived(receiver, 1)
        await eventually(lambda: "member.invited" in other.types, within=60, what="the rival hears")
        assert all(b"organizations/acme" not in body for _, body in other.got)
    assert receiver.types == ["member.invited"]
    headers, body = receiver.got[0]
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert b"bo@x.example" not in body
    assert receiver.verifies(one.drawn_secret)
    shown = await house.person(Hooks).GetWebhook(rpc.GetWebhookRequest(name=one.name))
    assert (shown.drawn_secret, shown.secret) == ("", "")


async def test_an_event_that_was_not_taken_comes_again_with_its_id_and_the_address_s_pause(
    house: House, receiver: Receiver
) -> None:
    receiver.status, receiver.headers = 503, "retry-after: 600\r\n"
    one = await hooked(house, receiver)
    await invite(house, "bo@x.example")
    await arrived(receiver, 1)
    waiting = await first(house, one, pb.WebhookDelivery.STATE_PENDING)
    while not waiting.attempts:
        waiting = await first(house, one, pb.WebhookDelivery.STATE_PENDING)
    assert (waiting.attempts[0].status_code, waiting.attempts[0].answer) == (503, "ok")
    receiver.status = 200
    house.clock.advance(timedelta(minutes=10))
    await arrived(receiver, 2)
    assert len(set(receiver.ids)) == 1
    done = await first(house, one, pb.WebhookDelivery.STATE_DELIVERED)
    replay = rpc.ReplayWebhookRequest(name=one.name, delivery=done.name)
    assert (await house.person(Hooks).ReplayWebhook(replay)).delivery_count == 1
    await arrived(receiver, 3)
    assert len(set(receiver.ids)) == 1
    await first(house, one, pb.WebhookDelivery.STATE_DELIVERED)
    span = rpc.ReplayWebhookRequest(name=one.name)
    span.start_time.FromDatetime(NOON - timedelta(days=1))
    assert (await house.person(Hooks).ReplayWebhook(span)).delivery_count == 1
    assert await reason_of(house.person(Hooks).ReplayWebhook(rpc.ReplayWebhookRequest(name=one.name))) == (
        "REPLAY_SPAN_INVALID"
    )


async def test_for_a_day_after_a_change_both_secrets_sign(house: House, receiver: Receiver) -> None:
    old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    one = await hooked(house, receiver, secret=old)
    assert one.drawn_secret == ""
    hooks: Any = house.person(Hooks)
    new = (await hooks.RotateWebhookSecret(rpc.RotateWebhookSecretRequest(name=one.name))).drawn_secret
    await hooks.TestWebhook(rpc.TestWebhookRequest(name=one.name))
    await arrived(receiver, 1)
    assert receiver.verifies(old)
    assert receiver.verifies(new)
    house.clock.advance(timedelta(hours=24))
    await hooks.TestWebhook(rpc.TestWebhookRequest(name=one.name))
    await arrived(receiver, 2)
    assert receiver.verifies(new)
    assert not receiver.verifies(old)


async def test_secrets_that_changed_rows_sign_nothing_and_a_new_one_does(
    house: House, receiver: Receiver, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who may write rows and not read the keyring cannot have one webhook signed by another's secret."""
    mine = await hooked(house, receiver)
    hooks: Any = house.person(Hooks)
    async with receiving() as other:
        theirs = await hooked(house, other)
        await swapped(database, mine.name, theirs.name)
        await hooks.TestWebhook(rpc.TestWebhookRequest(name=mine.name))
        while not (tried := await first(house, mine, pb.WebhookDelivery.STATE_PENDING)).attempts:
            pass
        assert (tried.attempts[0].status_code, tried.attempts[0].error) == (0, UNREADABLE)
        assert (receiver.got, other.got) == ([], [])
    told = capsys.readouterr().out
    assert "secret cannot be read" in told
    assert mine.name.rpartition("/")[2] in told
    new = (await hooks.RotateWebhookSecret(rpc.RotateWebhookSecretRequest(name=mine.name))).drawn_secret
    await hooks.TestWebhook(rpc.TestWebhookRequest(name=mine.name))
    await arrived(receiver, 1)
    assert receiver.verifies(new)
    assert not receiver.verifies(theirs.drawn_secret)


async def swapped(database: str, *webhooks: str) -> None:
    """Each of two webhooks gets the sealed secret of the other, behind the back of the running daemon."""
    c, (one, other) = webhook_secrets.c, (name.rpartition("/")[2] for name in webhooks)
    db = await Database.open(database)
    async with db.begin() as sql:
        kept = {row.webhook: row.sealed for row in (await sql.execute(select(webhook_secrets))).all()}
        for to, of in ((one, other), (other, one)):
            await sql.execute(update(webhook_secrets).where(c.webhook == to).values(sealed=kept[of]))
    await db.close()


async def test_an_address_that_is_gone_hears_nothing_until_it_is_enabled(house: House, receiver: Receiver) -> None:
    receiver.status = 410
    one = await hooked(house, receiver)
    hooks: Any = house.person(Hooks)
    await hooks.TestWebhook(rpc.TestWebhookRequest(name=one.name))
    await first(house, one, pb.WebhookDelivery.STATE_FAILED)
    off = await hooks.GetWebhook(rpc.GetWebhookRequest(name=one.name))
    assert (off.state, "gone" in off.reason) == (pb.Webhook.STATE_DISABLED, True)
    assert await reason_of(hooks.TestWebhook(rpc.TestWebhookRequest(name=one.name))) == "WEBHOOK_DISABLED"
    assert "webhook.disabled" in await house.told()
    receiver.status = 204
    await hooks.EnableWebhook(rpc.EnableWebhookRequest(name=one.name))
    await invite(house, "bo@x.example")
    await arrived(receiver, 2)
    on = await hooks.GetWebhook(rpc.GetWebhookRequest(name=one.name))
    await hooks.DeleteWebhook(rpc.DeleteWebhookRequest(name=one.name, etag=on.etag))
    assert await reason_of(hooks.GetWebhook(rpc.GetWebhookRequest(name=one.name))) == "WEBHOOK_NOT_FOUND"


async def test_what_a_replica_had_in_hand_is_brought_by_another(start: Start, receiver: Receiver) -> None:
    async with AsyncExitStack() as stays:
        async with AsyncExitStack() as goes:
            house = await goes.enter_async_context(start(allow_private_webhooks=True))
            await house.active()
            other = await stays.enter_async_context(start(allow_private_webhooks=True))
            receiver.open.clear()
            await hooked(house, receiver)
            await invite(house, "bo@x.example")
            await arrived(receiver, 1)
        receiver.open.set()
        await arrived(receiver, 2)
        await invite(other, "cy@x.example")
        await eventually(lambda: len(set(receiver.ids)) == 2, within=60, what="the next event")
    assert receiver.ids[0] == receiver.ids[1]


async def test_addresses_of_the_house_are_refused_when_saved_and_at_each_connection() -> None:
    answers: list[Sequence[str]] = [["93.184.216.34"], ["93.184.216.34", "169.254.169.254"], ["203.0.113.7"]]

    async def rebinding(host: str) -> Sequence[str]:
        return answers.pop(0)

    sender = Sender(own_networks=("203.0.113.0/24",), resolve=rebinding)
    await sender.demand("https://hooks.example/")
    tried = await sender.post("https://hooks.example/", {}, b"{}", at=NOON)
    assert (tried.status, "169.254.169.254" in tried.error) == (0, True)
    with pytest.raises(WebhookUrlRefused):
        await sender.demand("https://hooks.example/")
    assert answers == []
    await sender.close()

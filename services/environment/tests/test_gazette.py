"""What is told on the bus of what stands in Git."""

import json
from typing import Any

from catalyst.environment.v1 import service_pb2 as rpc
from catalyst_gateway.things import of_runtime
from catalyst_mesh import Bus
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from nats.js.errors import NotFoundError

from .house import NOON
from .shop import ENV, Shop


async def test_each_commit_is_told_as_a_thing_of_its_environment_and_so_is_its_end(
    shop: Shop, clean_nats: NatsServer
) -> None:
    one = await shop.settled(shop.install("blog"))
    bus = Bus(clean_nats.url, "reader")
    js, stream = await bus.jetstream(), await bus.ensure_workspaces()

    async def last(subject: str, type: str) -> Any:
        try:
            found = await js.get_last_msg(stream, subject)
        except NotFoundError:
            return None
        return found if (found.headers or {})["ce-type"] == type else None

    subject = f"ws.acme-prod.git.{one.pin.commit}"
    told = await eventually(lambda: last(subject, "ws.git.commit"), within=60, what="the commit is told")
    body = json.loads(told.data)
    assert (body["application"], body["branch"], body["version"]) == (one.name, "main", "1.0.0")
    fact = of_runtime(subject, told.data, time=NOON, is_gone=False, sequence=1)
    assert fact is not None
    assert (fact.kind, fact.name, fact.organization) == ("git.commit", "blog", "acme")
    leave = rpc.DeleteApplicationRequest(name=f"{ENV}/applications/blog", etag=(await shop.get("blog")).etag)
    await shop.settled(shop.dev.DeleteApplication(leave))
    await eventually(lambda: last(subject, "ws.deleted"), within=60, what="its end is told")
    await bus.close()

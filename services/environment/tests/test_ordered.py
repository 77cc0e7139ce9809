"""Apps that a paid order names become Applications, each once; what cannot is said at the Organization."""

from typing import Any

import pytest
from catalyst.billing.v1 import events_pb2 as billing
from catalyst.billing.v1 import resources_pb2 as orders
from catalyst.catalog.v1 import resources_pb2 as catalog_pb
from catalyst.catalog.v1 import service_pb2 as catalog_rpc
from catalyst.catalog.v1 import service_pb2_grpc as catalog_stubs
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst_environment.plans import on_paid
from catalyst_mesh import Told
from catalyst_testkit import eventually

from .house import A_MOMENT, NOON, House
from .shop import ENV, Shop

ORDER = "billingAccounts/acme/orders/order-1"


async def paid(house: House, *apps: str, order: str = ORDER, kind: Any = orders.Order.KIND_SUBSCRIPTION) -> None:
    """Have the daemon handle what billing tells of a paid order, as its consumer does."""
    message = billing.OrderPaid(order=order, org="organizations/acme", apps=apps, kind=kind)
    daemon: Any = house.daemon.daemon

    async def step(tx: Any) -> None:
        tx.emit(*await on_paid(tx, message, Told("id", "catalyst.v1.billing.order.paid", "", 1, NOON, "", 1)))

    await daemon.work.again(step)


async def said(house: House, status: int, *words: str) -> pb.Organization:
    """The Organization once its condition about orders is so."""

    async def check() -> pb.Organization | None:
        house.clock.advance(A_MOMENT)
        now = await house.get()
        found = [c for c in now.conditions if c.type == "OrderedApps"]
        is_so = found and found[0].status == status and all(word in found[0].message for word in words)
        return now if is_so else None

    answer: pb.Organization = await eventually(check, within=60, what=f"OrderedApps says {words}")
    return answer


async def installed(shop: Shop) -> list[str]:
    listed = await shop.dev.ListApplications(rpc.ListApplicationsRequest(parent=ENV))
    return [one.name.rpartition("/")[2] for one in listed.applications]


async def orders_of(shop: Shop) -> dict[str, str]:
    """The order that each Application was made for."""
    daemon: Any = shop.house.daemon.daemon
    async with daemon.work.reading() as tx:
        return {one.id: one.order for one in await tx.applications(ENV.removeprefix("environments/"))}


@pytest.mark.either_database
async def test_a_paid_order_installs_its_apps_once_though_it_is_told_three_times(shop: Shop) -> None:
    store: Any = shop.catalog.admin(catalog_stubs.StorefrontServiceStub)
    app = catalog_pb.App(title="Blog", blueprint="blueprints/bp-blog")
    await store.CreateApp(catalog_rpc.CreateAppRequest(app=app, app_id="journal"))
    for _ in range(3):
        await paid(shop.house, "journal")
    await said(shop.house, 1)
    before = await installed(shop)
    assert await orders_of(shop) == {"journal": ORDER, "journal-database": ""}
    assert before == ["journal", "journal-database"]
    await shop.settled(await shop.get("journal"))
    assert (await shop.house.told()).count("application.requested") == len(before)

    await paid(shop.house, "journal", order=f"{ORDER}1", kind=orders.Order.KIND_CHANGE)
    await paid(shop.house, "nowhere", order=f"{ORDER}2")
    await said(shop.house, 2, "nowhere", f"{ORDER}2")
    assert await installed(shop) == before, "a changed plan installs nothing again, an unknown app nothing at all"

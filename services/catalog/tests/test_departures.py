"""An Organization that has gone: what it brought is offered to nobody at once, and erased when its time is over."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.environment.v1.events_pb2 import OrganizationDeleted
from catalyst_catalog.departures import on_organization_deleted
from catalyst_catalog.store import tables
from catalyst_catalog.workers.erasing import Eraser
from catalyst_mesh import Told
from catalyst_testkit.daemons import RunningDaemon, reason_of
from sqlalchemy import select

from .asking import Start, catalog, outbox
from .makers import NOON, write

pytestmark = pytest.mark.either_database

BP = "organizations/acme/blueprints/bp-crm"


async def gone(daemon: RunningDaemon, org: str = "acme") -> None:
    """Have the catalogue handle the event, as its consumer does."""
    work: Any = daemon.daemon.work
    message = OrganizationDeleted(organization=f"organizations/{org}", version=1)
    told = Told("id", "catalyst.v1.environment.organization.deleted", message.organization, 1, NOON, "", 1)

    async def step(tx: Any) -> None:
        tx.emit(*await on_organization_deleted(tx, message, told))

    await work.again(step)


async def found(daemon: RunningDaemon, name: str) -> str:
    return await reason_of(catalog(daemon).GetBlueprint(rpc.GetBlueprintRequest(name=name)))


async def rows(daemon: RunningDaemon) -> set[str]:
    """Owners of versions that are kept."""
    async with daemon.daemon.db.read() as sql:
        return set((await sql.execute(select(tables.versions.c.owner_org))).scalars())


async def test_what_it_brought_is_an_orphan_at_once_and_erased_after_its_time(start: Start, folder: Path) -> None:
    write(folder, "bp-db")
    homes = {org: folder.parent / org for org in ("acme", "other")}
    for org, home in homes.items():
        write(home, "bp-crm" if org == "acme" else "bp-own", visibility="private")
    write(homes["acme"], "bp-bad", {"kind": "nothing"})
    async with start(organization_folders=homes) as daemon:
        for _ in range(2):
            await gone(daemon)
        assert (await outbox(daemon)).count("blueprint.orphaned") == 1
        member = catalog(daemon, subject="a", groups=["/acme/org-admin"])
        left = await member.GetBlueprint(rpc.GetBlueprintRequest(name=BP))
        assert left.orphaned
        wish = rpc.ResolveRequest(roots=[{"name": BP}])
        assert await reason_of(member.Resolve(wish)) != "OK"
        eraser = Eraser(daemon.daemon.work, after=timedelta(days=30), pause=1)
        await eraser.look()
        assert await rows(daemon) == {"", "acme", "other"}
        await Eraser(daemon.daemon.work, after=timedelta(0), pause=1).look()
        assert await rows(daemon) == {"", "other"}
        assert await reason_of(member.GetBlueprint(rpc.GetBlueprintRequest(name=BP))) == "BLUEPRINT_NOT_FOUND"
    async with start(organization_folders=homes) as daemon:
        assert await rows(daemon) == {"", "other"}, "settings that still name its folder bring nothing back"
        assert await found(daemon, "blueprints/bp-db") == "OK"


async def test_an_event_that_names_no_organization_touches_nothing(start: Start, folder: Path) -> None:
    home = folder.parent / "acme"
    write(home, "bp-crm", visibility="private")
    async with start(organization_folders={"acme": home}) as daemon:
        message = OrganizationDeleted(organization="acme", version=1)
        told = Told("id", "catalyst.v1.environment.organization.deleted", "acme", 1, NOON, "", 1)
        with pytest.raises(ValueError, match="no name of an Organization"):
            await daemon.daemon.work.again(lambda tx: on_organization_deleted(tx, message, told))
        assert (await outbox(daemon)).count("blueprint.orphaned") == 0
        assert await rows(daemon) == {"acme"}

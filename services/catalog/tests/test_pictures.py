"""Pictures are carried from one revision to the next; they are as if each had been drawn anew."""

import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc as stubs
from catalyst_catalog.store import Picture, Pictures, Viewer, store
from catalyst_testkit.daemons import RunningDaemon, reason_of

from .asking import Start, sync
from .makers import needs, write

pytestmark = pytest.mark.either_database
VIEWERS = (
    Viewer(),
    Viewer(is_known=False),
    Viewer(frozenset({"acme"})),
    Viewer(frozenset({"acme", "twin"})),
    Viewer(frozenset({"none"})),
)  # fmt: skip - a table
NAMES = ("bp-db", "bp-crm", "bp-mail", "bp-chat")


def told(picture: Picture) -> Any:
    """All that a picture says."""
    universe = picture.universe
    return (
        picture.revision,
        picture.early,
        universe.names,
        picture.versions,
        {key: dict(row) for key, row in picture.rows.items()},
        [universe.releases(name) for name in universe.names],
        universe.heads,
        universe.graph,
        universe.private,
    )  # fmt: skip - one list


async def demand_as_new(daemon: RunningDaemon, carried: Pictures) -> None:
    for viewer in VIEWERS:
        anew = await Pictures(daemon.daemon.work, ()).of(viewer)
        assert told(await carried.of(viewer)) == told(anew), viewer


async def change(daemon: RunningDaemon, chance: Random, folders: dict[str, Path]) -> None:
    """Something happens to some Blueprint of somebody."""
    owner, name = chance.choice(sorted(folders)), chance.choice(NAMES)
    source = "sources/public" if owner == "public" else f"sources/org-{owner}"
    if chance.random() < 0.2:
        shutil.rmtree(folders[owner] / name.removeprefix("bp-"), ignore_errors=True)
        for _ in range(3):
            await sync(daemon, source)
        return
    version, shown = f"1.{chance.randrange(4)}.0", chance.choice(["listed", "unlisted"])
    write(folders[owner], name, version=version, visibility=shown, depends=needs(**chance.choice([{}, {"other": "*"}])))
    await sync(daemon, source)
    if owner == "public" and chance.random() < 0.3:
        moderation: Any = daemon.stub(stubs.ModerationServiceStub, subject="ada", roles=["sovereign-admin"])
        wish = rpc.YankVersionRequest(name=f"blueprints/{name}/versions/{version}", reason="why", etag='"1"')
        assert await reason_of(moderation.YankVersion(wish)) in {"OK", "ETAG_MISMATCH"}


async def test_a_picture_that_was_carried_along_is_as_if_it_were_drawn_anew(
    start: Start, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_CHANGES", 8)  # so that some are drawn anew because too much has changed
    folders = {"public": folder, "acme": home / "acme", "twin": home / "twin"}
    for org in ("acme", "twin"):
        folders[org].mkdir()
    write(folder, "bp-db", visibility="listed")
    async with start(organization_folders={org: folders[org] for org in ("acme", "twin")}) as daemon:
        carried, chance = Pictures(daemon.daemon.work, ()), Random(6)
        await demand_as_new(daemon, carried)
        for _ in range(12):
            for _ in range(chance.choice([1, 1, 3])):
                await change(daemon, chance, folders)
            await demand_as_new(daemon, carried)

"""What the catalogue does while a source, or the catalogue itself, is away."""

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc as stubs
from catalyst_catalog.store import metadata, tables
from catalyst_cli.layouts import Bundle
from catalyst_mesh import Database
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.processes import Nursery, Replicas, nursery
from catalyst_testkit.servers import NatsServer
from sqlalchemy import delete, select, update

from .asking import Start, catalog, names, sync
from .makers import needs, write

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
POINTS = [f"work.{point}=kill@{n}" for n in range(1, 6) for point in ("before_commit", "after_commit")]
"""Before and after each transaction of a start: the storefront's seed, the sources, what a sync came to."""


@pytest.mark.either_database
async def test_what_is_known_is_browsed_solved_and_planned_while_its_source_is_away_and_after_a_restart(
    start: Start, folder: Path
) -> None:
    write(folder, "bp-db")
    write(folder, "bp-shop", visibility="listed", depends=needs(db="^1"))
    away = folder.with_name("elsewhere")
    answers: list[Any] = []
    async with start() as daemon:
        stub = catalog(daemon)
        root = rpc.ResolveRequest(roots=[pb.Demand(name="blueprints/bp-shop")])
        wish = rpc.PlanInstallRequest(blueprint="blueprints/bp-shop", environment="environments/acme-prod")

        async def asked(stub: Any) -> tuple[Any, ...]:
            plan = await stub.PlanInstall(wish)
            lock = (await stub.Resolve(root)).lock.lock_digest
            return await names(stub), lock, plan.plan_digest

        answers.append(await asked(stub))
        shutil.move(folder, away)
        for _ in range(4):  # as often as makes an orphan of what a source has lost
            assert (await sync(daemon)).state == pb.Source.STATE_FAILED
        answers.append(await asked(stub))
    async with start() as daemon:
        answers.append(await asked(catalog(daemon)))
        version = rpc.GetVersionRequest(name="blueprints/bp-shop/versions/1.0.0")
        assert await reason_of(catalog(daemon).GetVersion(version)) == "OK"
        shutil.move(away, folder)
        write(folder, "bp-later", visibility="listed")
        await sync(daemon)
        assert "blueprints/bp-later" in await names(catalog(daemon))
    assert answers == [answers[0]] * 3


@pytest.mark.either_database
async def test_the_bytes_of_what_was_taken_in_outlive_their_source_and_private_ones_are_their_owner_s(
    start: Start, folder: Path, home: Path
) -> None:
    write(folder, "bp-shop")
    (folder / "shop" / "install.sh").write_text("exit 0")
    (folder / "shop" / "install.sh").chmod(0o755)
    (folder / "shop" / "big.bin").write_bytes(random.Random(1).randbytes(1_500_000))
    private = home / "private"
    write(private, "bp-crm")
    async with start(organization_folders={"acme": private}) as daemon:
        shutil.rmtree(folder / "shop")
        version = "blueprints/bp-shop/versions/1.0.0"
        found = await artifact(catalog(daemon), version)
        found.check()  # what came has the digest: the mode of the script counts, and the parts fit together
        assert len(found.archive) > 1_500_000
        held = await catalog(daemon).GetVersion(rpc.GetVersionRequest(name=version))
        assert held.digest == found.digest
        crm = rpc.ReadArtifactRequest(name="organizations/acme/blueprints/bp-crm/versions/1.0.0")
        developer = catalog(daemon, subject="dev", groups=["/acme/org-developer"])
        assert (await developer.ReadArtifact(crm)).data
        for stranger in (
            {"subject": "x", "groups": ["/rival/org-admin"]},
            {"subject": "r", "roles": ["sovereign-admin"]},
        ):
            assert await reason_of(catalog(daemon, **stranger).ReadArtifact(crm)) in (
                "ROLE_DENIED",
                "BLUEPRINT_NOT_FOUND",
            )
        none = rpc.ReadArtifactRequest(name="blueprints/bp-shop/versions/9.9.9")
        assert await reason_of(catalog(daemon).ReadArtifact(none)) == "VERSION_NOT_FOUND"


async def test_what_a_release_settled_that_kept_no_bytes_is_read_once_more(start: Start, folder: Path) -> None:
    write(folder, "bp-shop")
    async with start() as daemon:
        async with daemon.daemon.db.begin() as sql:
            await sql.execute(delete(tables.artifacts))
            await sql.execute(update(tables.items).values(has_bytes=False))
        await sync(daemon)
        (await artifact(catalog(daemon), "blueprints/bp-shop/versions/1.0.0")).check()
        async with daemon.daemon.db.read() as sql:
            assert (await sql.execute(select(tables.items.c.has_bytes))).scalars().all() == [True]


async def artifact(stub: Any, version: str) -> Bundle:
    """All parts of it."""
    first = part = await stub.ReadArtifact(rpc.ReadArtifactRequest(name=version))
    archive = part.data
    while part.next_offset:
        part = await stub.ReadArtifact(rpc.ReadArtifactRequest(name=version, offset=part.next_offset))
        archive += part.data
    assert first.size_bytes == len(archive)
    return Bundle("bp-shop", "1.0.0", first.digest, archive, first.manifest)


@pytest.fixture(scope="module")
def born() -> Iterator[Nursery]:
    with nursery("catalyst_catalog.app", "catalyst_source_directory.plugin") as opened:
        yield opened


@pytest.fixture
async def replicas(
    born: Nursery, home: Path, folder: Path, clean_nats: NatsServer, database: str
) -> AsyncIterator[Replicas]:
    settings = {"nats_url": clean_nats.url, "database_url": database, "blueprints": folder}
    made = Replicas(born, "catalyst_catalog", "CATALYST_CATALOG_", home, settings)
    yield made
    await made.close()


async def stored(url: str, *columns: Any) -> list[Any]:
    db = await Database.open(url)
    async with db.read() as sql:
        rows = (await sql.execute(select(*columns))).all()
    await db.close()
    return list(rows)


async def let_leases_end(url: str) -> None:
    """What time does after a death."""
    db = await Database.open(url)
    async with db.begin() as sql:
        await sql.execute(update(metadata.tables["lease"]).values(until=datetime(2000, 1, 1, tzinfo=UTC)))
    await db.close()


@pytest.mark.chaos
async def test_a_catalogue_that_is_killed_at_any_stage_of_taking_things_in_loses_and_doubles_nothing(
    replicas: Replicas, folder: Path, database: str
) -> None:
    """Each life has news to take in, and dies on the way; the last one finds all of it in one state."""
    seed = int(os.environ.get("CATALYST_CHAOS_SEED", random.randrange(1_000_000)))
    print(f"CATALYST_CHAOS_SEED={seed}")  # noqa: T201
    points = POINTS if LONG else [POINTS[0], *random.Random(seed).sample(POINTS[1:], 2)]
    write(folder, "bp-bad", {"kind": "nothing"})
    write(folder, "bp-n0")
    await replicas.start(1)
    (replica,) = replicas.all
    stub = replicas.stub(stubs.CatalogServiceStub, replica, "provisioner", service="provisioner")
    await replica.kill()
    for number, point in enumerate(points, 1):
        write(folder, f"bp-n{number}")
        await let_leases_end(database)
        replica.start(point)
        # One that has fewer transactions than that goes on living; it has taken the news in then.
        await eventually(
            lambda: replica.code is not None or _is_known(stub, f"bp-n{number}"), within=60, what=point  # noqa: B023
        )  # fmt: skip
        await replica.kill()
        assert replica.code == -signal.SIGKILL
    await let_leases_end(database)
    replica.start()
    await replica.serves()
    wanted = {f"bp-n{n}": "VERIFIED" for n in range(len(points) + 1)}

    async def all_there() -> bool:
        return {row.blueprint for row in await stored(database, tables.versions.c.blueprint)} == set(wanted)

    await eventually(all_there, within=60)
    v, i, o = tables.versions.c, tables.issues.c, metadata.tables["outbox"].c
    assert {row.blueprint: row.state for row in await stored(database, v.blueprint, v.state)} == wanted
    assert [row.ref for row in await stored(database, i.ref)] == ["bad"]
    told = Counter(row.subject.rpartition("catalog.")[2] for row in await stored(database, o.subject))
    assert (told["version.published"], told["issue.opened"], told["pricebook.published"]) == (len(wanted), 1, 1)


async def _is_known(stub: Any, name: str) -> bool:
    return await reason_of(stub.GetBlueprint(rpc.GetBlueprintRequest(name=f"blueprints/{name}"), timeout=5)) == "OK"

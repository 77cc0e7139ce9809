"""A private Blueprint looked for on every path: whoever may not see it hears the bytes of one that never was."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst_catalog.store import Viewer, store
from catalyst_mesh import explain
from catalyst_testkit.daemons import RunningDaemon, reason_of
from google.protobuf.message import Message
from sqlalchemy import make_url, true

from .asking import Start, catalog, sources, sync
from .makers import needs, write

pytestmark = pytest.mark.either_database
PRIVATE, NEVER = "bp-crm", "bp-crx"
"""One that Acme has, and one that nobody ever had."""
OWN_PLACE = "environments/acme-prod"
Ask = Callable[[Any, str], Awaitable[Any]]
PATHS: dict[str, Ask] = {
    "get": lambda stub, name: stub.GetBlueprint(rpc.GetBlueprintRequest(name=f"blueprints/{name}")),
    "versions": lambda stub, name: stub.ListVersions(rpc.ListVersionsRequest(parent=f"blueprints/{name}")),
    "version": lambda stub, name: stub.GetVersion(rpc.GetVersionRequest(name=f"blueprints/{name}/versions/1.0.0")),
    "compare": lambda stub, name: stub.CompareVersions(
        rpc.CompareVersionsRequest(name=f"blueprints/{name}", from_version="1.0.0", to_version="1.0.0")
    ),
    "search": lambda stub, name: stub.SearchCards(rpc.SearchCardsRequest(q=name)),
    "closure": lambda stub, name: stub.Closure(rpc.ClosureRequest(name=f"blueprints/{name}")),
    "reverse closure": lambda stub, name: stub.Closure(rpc.ClosureRequest(name=f"blueprints/{name}", reverse=True)),
    "resolve": lambda stub, name: stub.Resolve(rpc.ResolveRequest(roots=[pb.Demand(name=f"blueprints/{name}")])),
    "explanation": lambda stub, name: stub.Resolve(
        rpc.ResolveRequest(roots=[pb.Demand(name=f"blueprints/bp-wants-{name.removeprefix('bp-')}")])
    ),
    "plan": lambda stub, name: stub.PlanInstall(
        rpc.PlanInstallRequest(blueprint=f"blueprints/{name}", environment="environments/rival-prod")
    ),
    "bytes": lambda stub, name: stub.ReadArtifact(rpc.ReadArtifactRequest(name=f"blueprints/{name}/versions/1.0.0")),
    "configuration": lambda stub, name: stub.ValidateConfig(
        rpc.ValidateConfigRequest(version=f"blueprints/{name}/versions/1.0.0")
    ),
    "wizard": lambda stub, name: stub.SelectComponents(rpc.SelectComponentsRequest(add=[name])),
    "installed": lambda stub, name: stub.Resolve(
        rpc.ResolveRequest(
            roots=[pb.Demand(name="blueprints/bp-db")],
            installed=[pb.Installed(name=f"blueprints/{name}", version="1.0.0")],
        )
    ),
    "another's bytes": lambda stub, name: stub.ReadArtifact(
        rpc.ReadArtifactRequest(name=f"organizations/acme/blueprints/{name}/versions/1.0.0")
    ),
    "another's": lambda stub, name: stub.GetBlueprint(
        rpc.GetBlueprintRequest(name=f"organizations/acme/blueprints/{name}")
    ),
}  # fmt: skip - reads as a table
"""Ways to ask about one name."""


async def heard(ask: Ask, stub: Any, name: str) -> bytes:
    """What a caller hears, with the name that was asked for struck out."""
    try:
        answer: Message = await ask(stub, name)
    except grpc.aio.AioRpcError as error:
        told = explain(error)
        answer_text = repr((told.code, told.reason, told.message, sorted(told.metadata.items()), told.violations))
    else:
        answer_text = answer.SerializeToString(deterministic=True).decode("latin-1")
    return answer_text.replace(name, "bp-xxx").replace(name.removeprefix("bp-"), "xxx").encode()


def callers(daemon: RunningDaemon) -> dict[str, Any]:
    return {
        "a stranger": catalog(daemon, subject="spy", groups=["/rival/org-admin"]),
        "the sovereign-admin": catalog(daemon, subject="root", roles=["sovereign-admin"], groups=["/rival/org-admin"]),
        "nobody": catalog(daemon, token=""),
    }


async def test_a_private_blueprint_and_one_that_never_was_are_the_same_to_strangers_on_every_path(
    start: Start, folder: Path, home: Path
) -> None:
    write(folder, "bp-db", visibility="listed")
    for name in (PRIVATE, NEVER):
        bare = name.removeprefix("bp-")
        write(folder, f"bp-wants-{bare}", visibility="listed", depends=needs(**{bare: "^1"}))
    write(home / "acme", PRIVATE, visibility="listed", depends=needs(db="*"))
    write(home / "twin", PRIVATE, version="2.0.0")
    async with start(organization_folders={"acme": home / "acme", "twin": home / "twin"}) as daemon:
        own = catalog(daemon, subject="dev", groups=["/acme/org-developer"])
        own_page = await own.SearchCards(rpc.SearchCardsRequest(page_size=1))
        assert (await own.SearchCards(rpc.SearchCardsRequest(q=PRIVATE))).total_size == 1
        both = catalog(daemon, subject="two hats", groups=["/acme/org-developer", "/twin/org-viewer"])
        hers = (await both.SearchCards(rpc.SearchCardsRequest(q=PRIVATE))).cards
        assert [(card.name.split("/")[1], card.version) for card in hers] == [("acme", "1.0.0"), ("twin", "2.0.0")]
        confused = rpc.ResolveRequest(roots=[pb.Demand(name="blueprints/bp-wants-crm")], installed=[
            pb.Installed(name=f"organizations/acme/blueprints/{PRIVATE}", version="1.0.0")
        ])  # fmt: skip
        assert await reason_of(own.Resolve(confused)) == "PUBLIC_NEEDS_PRIVATE"
        for who, stub in callers(daemon).items():
            for path, ask in PATHS.items():
                assert await heard(ask, stub, PRIVATE) == await heard(ask, stub, NEVER), f"{path} by {who}"
            stolen = rpc.SearchCardsRequest(page_size=1, page_token=own_page.next_page_token)
            assert await reason_of(stub.SearchCards(stolen)) == "PAGE_TOKEN_INVALID"
            listed = await stub.ListBlueprints(rpc.ListBlueprintsRequest())
            cards = await stub.SearchCards(rpc.SearchCardsRequest())
            names = [row.name for row in (*listed.blueprints, *cards.cards)]
            assert not any(name.endswith(f"/{PRIVATE}") for name in names), (
                "as a need of public ones it is named by them alone"
            )
            assert cards.total_size == 3
            assert all(value.count <= 3 for facet in cards.facets for value in facet.values)
        reverse = await callers(daemon)["a stranger"].Closure(
            rpc.ClosureRequest(name="blueprints/bp-db", reverse=True)
        )  # fmt: skip - one call
        assert [node.name for node in reverse.nodes] == ["blueprints/bp-db"]


async def test_no_watcher_but_its_owner_hears_of_a_private_blueprint(start: Start, folder: Path, home: Path) -> None:
    write(folder, "bp-db", visibility="listed")
    write(home / "acme", PRIVATE)
    async with start(organization_folders={"acme": home / "acme"}) as daemon:
        async with daemon.daemon.work.reading() as tx:
            came = [one for one in await tx.changes(0, 10_000) if one.blueprint == PRIVATE]
        assert len(came) == 2
        before = min(one.revision for one in came) - 1
        own = catalog(daemon, subject="dev", groups=["/acme/org-viewer"])
        call = own.WatchCatalog(rpc.WatchCatalogRequest(after_revision=before))
        assert PRIVATE in (await asyncio.wait_for(call.read(), 60)).change.name
        call.cancel()
        write(folder, "bp-later", visibility="listed")
        for who, stub in callers(daemon).items():
            if who == "nobody":
                continue  # the stream is for members
            call = stub.WatchCatalog(rpc.WatchCatalogRequest(after_revision=before))
            await sync(daemon)
            assert "bp-later" in (await asyncio.wait_for(call.read(), 60)).change.name, who
            call.cancel()


async def test_what_is_private_is_planned_for_its_owner_s_environments_alone(
    start: Start, folder: Path, home: Path
) -> None:
    """Also by a member of both Organizations, and by the daemon that keeps Environments."""
    write(home / "acme", PRIVATE)
    async with start(organization_folders={"acme": home / "acme"}) as daemon:
        groups = ["/acme/org-developer", "/rival/org-developer"]
        for stub in (catalog(daemon, subject="two hats", groups=groups), catalog(daemon, service="environment")):
            wish = rpc.PlanInstallRequest(blueprint=f"organizations/acme/blueprints/{PRIVATE}", environment=OWN_PLACE)
            assert (await stub.PlanInstall(wish)).version == "1.0.0"
            wish.environment = "environments/rival-prod"
            assert await reason_of(stub.PlanInstall(wish)) == "ROLE_DENIED"


async def test_who_takes_the_id_of_a_source_that_was_another_s_hears_nothing_of_what_that_brought(
    start: Start, folder: Path, home: Path
) -> None:
    write(home / "acme", PRIVATE)
    async with start() as daemon:
        stub = sources(daemon)
        wish = rpc.CreateSourceRequest(
            source_id="shared",
            source=pb.Source(
                kind="directory",
                scope=pb.Source.SCOPE_ORGANIZATION,
                org="organizations/acme",
            ),
        )  # fmt: skip - one request
        for org in ("acme", "rival"):
            (home / org).mkdir(exist_ok=True)
            wish.source.org = f"organizations/{org}"
            wish.source.config.update({"folder": str(home / org)})
            await stub.CreateSource(wish)
            made = await sync(daemon, "sources/shared")
            counts = made.blueprint_count, made.version_count, made.open_issue_count
            assert counts == ((1, 1, 0) if org == "acme" else (0, 0, 0))
            if org == "acme":
                await stub.DeleteSource(rpc.DeleteSourceRequest(name=made.name, etag=made.etag))


async def owned_by_plain(database: str) -> str:
    """URL of the same database for a role that owns its tables, as a daemon's does: superusers are not held by policies."""
    url = make_url(database).set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        await connection.execute(
            """DO $$ DECLARE name text; BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'plain') THEN CREATE ROLE plain LOGIN; END IF;
            GRANT ALL ON SCHEMA public TO plain;
            FOR name IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
            LOOP EXECUTE 'ALTER TABLE ' || name || ' OWNER TO plain'; END LOOP; END $$"""
        )
    finally:
        await connection.close()
    return make_url(database).set(username="plain").render_as_string(hide_password=False)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_where_a_query_forgets_who_asks_the_database_does_not(
    start: Start, folder: Path, home: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "bp-db", visibility="listed")
    write(folder, "bp-quiet", visibility="unlisted")
    write(home / "acme", PRIVATE)
    monkeypatch.setattr(store, "visible", lambda table, viewer: true())
    viewers = {
        "nobody": Viewer(is_known=False), "a stranger": Viewer(frozenset({"rival"})), "its own": Viewer(frozenset({"acme"})),
    }  # fmt: skip
    folders = {"acme": home / "acme"}
    async with start(database_url=await owned_by_plain(database), organization_folders=folders) as daemon:
        seen = {}
        for who, viewer in viewers.items():
            async with daemon.daemon.work.reading() as tx:
                rows, versions = await tx.blueprints(viewer), await tx.versions(viewer)
                assert {row["name"] for row in rows} == {version.blueprint for version, _ in versions}
                seen[who] = {row["name"] for row in rows}
                assert len(await tx.owned_by("acme")) == 1, "what nobody asks as a viewer is whole again"
    assert seen == {
        "nobody": {"bp-db"}, "a stranger": {"bp-db", "bp-quiet"}, "its own": {"bp-db", "bp-quiet", PRIVATE},
    }  # fmt: skip

"""Plans, advice, comparisons and the stream of changes, as others meet them over gRPC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc as stubs
from catalyst_mesh import explain
from catalyst_testkit.daemons import RunningDaemon, reason_of

from .asking import Start, catalog, sources, storefront, sync
from .makers import needs, write

pytestmark = pytest.mark.either_database
PROD = "environments/acme-prod"
MULTI = {"multiInstance": {"enabled": True, "maxPerOrg": 9, "isolation": "namespace"}}


def admin(daemon: RunningDaemon) -> "stubs.ModerationServiceAsyncStub":
    return daemon.stub(stubs.ModerationServiceStub, subject="ada", roles=["sovereign-admin", "security-officer"])


@asynccontextmanager
async def watching(stub: Any, after: int = 0) -> AsyncIterator[Any]:
    """The next message of a stream, with a deadline for each."""
    call = stub.WatchCatalog(rpc.WatchCatalogRequest(after_revision=after))

    async def heard() -> rpc.WatchCatalogResponse:
        return await asyncio.wait_for(call.read(), 60)

    yield heard
    call.cancel()


async def test_nextcloud_on_plan_s_beside_wordpress_and_ghost_is_counted_in_whole_numbers(
    start: Start, folder: Path
) -> None:
    for name in ("bp-app-nextcloud", "bp-app-wordpress", "bp-app-ghost"):
        write(folder, name, **MULTI)
    async with start() as daemon:
        stub, wish = catalog(daemon), rpc.PlanInstallRequest(blueprint="blueprints/bp-app-nextcloud", environment=PROD)
        for name in ("wordpress", "ghost"):
            wish.installed.add(name=f"blueprints/bp-app-{name}", version="1.0.0", application=name)
        wish.plan = "plans/m"
        plan = await stub.PlanInstall(wish)
        app = await storefront(daemon).GetApp(rpc.GetAppRequest(name="apps/nextcloud"))
        assert (plan.needs, plan.capacity.wanted) == (app.needs, app.needs)
        assert plan.capacity.used.disk_gb == 10
        assert (plan.capacity.fits, plan.price_delta.minor, plan.price_delta.currency) == (True, 0, "OMR")
        again = await stub.PlanInstall(wish)
        assert again.plan_digest == plan.plan_digest
        wish.expected_digest = plan.plan_digest
        await stub.PlanInstall(wish)
        wish.plan = "plans/s"
        wish.ClearField("expected_digest")
        with pytest.raises(Exception, match="plans/s lacks 5 disk_gb; plans/m holds it all") as refused:
            await stub.PlanInstall(wish)
        assert explain(refused.value).reason == "CAPACITY"  # type: ignore[arg-type]  # it is a call that failed


async def test_a_plan_is_stale_once_its_version_was_withdrawn(start: Start, folder: Path) -> None:
    write(folder, "bp-shop", version="1.0.0")
    async with start() as daemon:
        write(folder, "bp-shop", version="1.1.0")
        await sync(daemon)
        stub, wish = catalog(daemon), rpc.PlanInstallRequest(blueprint="blueprints/bp-shop", environment=PROD)
        plan = await stub.PlanInstall(wish)
        assert plan.version == "1.1.0"
        wish.expected_digest = plan.plan_digest
        write(folder, "bp-other")
        await sync(daemon)
        assert (await stub.PlanInstall(wish)).plan_digest == plan.plan_digest, "what others publish makes nothing stale"
        yank = rpc.YankVersionRequest(name="blueprints/bp-shop/versions/1.1.0", reason="it loses mail")
        await admin(daemon).YankVersion(yank)
        assert await reason_of(stub.PlanInstall(wish)) == "PLAN_STALE"


async def test_only_a_daemon_says_what_is_installed_and_only_members_plan(start: Start, folder: Path) -> None:
    write(folder, "bp-shop")
    async with start() as daemon:
        own, foreign = [catalog(daemon, subject="dev", groups=[f"/{org}/org-developer"]) for org in ("acme", "rival")]
        wish = rpc.PlanInstallRequest(blueprint="blueprints/bp-shop", environment=PROD)
        assert (await own.PlanInstall(wish)).plan_digest
        assert await reason_of(foreign.PlanInstall(wish)) == "ROLE_DENIED"
        assert await reason_of(foreign.AdviseUpgrades(rpc.AdviseUpgradesRequest(parent=PROD))) == "ROLE_DENIED"
        wish.installed.add(name="blueprints/bp-shop", version="1.0.0")
        assert await reason_of(own.PlanInstall(wish)) == "ROLE_DENIED"
        assert await reason_of(catalog(daemon).PlanInstall(wish)) == "SINGLE_INSTANCE"


async def test_upgrades_are_advised_in_pages_with_notices(start: Start, folder: Path) -> None:
    write(folder, "bp-shop", version="1.0.0")
    write(folder, "bp-mail", version="1.0.0")
    async with start() as daemon:
        write(folder, "bp-shop", version="2.0.0", upgrades={"from": ["^1"]})
        await sync(daemon)
        yank = rpc.YankVersionRequest(name="blueprints/bp-shop/versions/1.0.0", reason="it loses mail")
        await admin(daemon).YankVersion(yank)
        wish = rpc.AdviseUpgradesRequest(parent=PROD, page_size=1)
        for name in ("shop", "mail"):
            wish.installed.add(name=f"blueprints/bp-{name}", version="1.0.0", application=name)
        first = await catalog(daemon).AdviseUpgrades(wish)
        wish.page_token = first.next_page_token
        second = await catalog(daemon).AdviseUpgrades(wish)
        assert [a.application for a in (*first.advices, *second.advices)] == ["mail", "shop"]
        assert list(first.advices[0].reasons) == ["1.0.0 is the newest version"]
        (advice,) = second.advices
        assert (list(advice.path), advice.target_version) == (["2.0.0"], "2.0.0")
        assert [(n.reason, n.message) for n in advice.notices] == [("YANKED", "bp-shop 1.0.0 is yanked: it loses mail")]


async def test_two_versions_are_compared(start: Start, folder: Path) -> None:
    number = {"type": "object", "properties": {"size": {"type": "integer"}}}
    write(folder, "bp-db")
    write(folder, "bp-shop", version="1.0.0", depends=needs(db="^1"), configSchema=number)
    async with start() as daemon:
        write(folder, "bp-shop", version="2.0.0", depends=needs(db="*", mail="*"), upgrades={"blocks": ["1.x"]})
        await sync(daemon)
        wish = rpc.CompareVersionsRequest(name="blueprints/bp-shop", from_version="1.0.0", to_version="2.0.0")
        found = await catalog(daemon).CompareVersions(wish)
        assert [(c.path, c.kind) for c in found.config_changes] == [("/size", pb.ConfigChange.KIND_REMOVED)]
        assert [d.alias for d in found.added_depends] == ["mail"]
        assert [(c.from_range, c.to_range) for c in found.changed_depends] == [("^1", "*")]
        assert (found.upgrade_allowed, found.upgrade_reason) == (False, "2.0.0 has no upgrade path from 1.0.0")
        gone = rpc.CompareVersionsRequest(name="blueprints/bp-shop", from_version="1.0.0", to_version="9.0.0")
        assert await reason_of(catalog(daemon).CompareVersions(gone)) == "VERSION_NOT_FOUND"


async def test_a_watcher_that_comes_back_hears_each_change_once(start: Start, folder: Path) -> None:
    async with start() as daemon:
        stub = catalog(daemon)
        async with watching(stub) as heard:
            first = await heard()
            assert (first.HasField("snapshot"), first.snapshot.blueprint_count) == (True, 0)
            for n in range(5):
                write(folder, f"bp-shop{n}", visibility="listed")
            await sync(daemon)
            told = [await heard() for _ in range(4)]
        async with watching(stub, told[-1].revision) as heard:
            told += [await heard() for _ in range(6)]
        assert [message.revision for message in told] == list(range(first.revision + 1, first.revision + 11))
        kinds = [(message.change.kind, message.change.name.split("/")[1]) for message in told]
        assert kinds == [(kind, f"bp-shop{n}") for kind in (2, 1) for n in range(5)]
        assert told[-1].change.card.version == "1.0.0"


async def test_a_watcher_that_was_away_for_too_long_begins_anew(start: Start, folder: Path) -> None:
    write(folder, "bp-shop")
    async with start() as daemon:
        async with watching(catalog(daemon), 1_000_000) as heard:
            assert (await heard()).reset.reason == "WIPED"
            assert (await heard()).HasField("snapshot")
        async with daemon.daemon.db.begin() as sql:
            await sql.exec_driver_sql("DELETE FROM changes WHERE revision <= 30")
        async with watching(catalog(daemon), 5) as heard:
            assert (await heard()).reset.reason == "GAP"


async def test_a_watcher_hears_what_it_may_read_and_that_something_is_gone(
    start: Start, folder: Path, home: Path
) -> None:
    write(folder, "bp-shop", visibility="listed")
    write(home / "acme", "bp-crm")
    async with start(organization_folders={"acme": home / "acme"}) as daemon:
        own = catalog(daemon, subject="dev", groups=["/acme/org-viewer"])
        foreign = catalog(daemon, subject="spy", groups=["/rival/org-viewer"])
        await admin(daemon).QuarantineVersion(
            rpc.QuarantineVersionRequest(name="blueprints/bp-shop/versions/1.0.0", reason="a leaked key")
        )
        async with daemon.daemon.work.reading() as tx:
            start_at = min(c.revision for c in await tx.changes(0, 10_000) if c.blueprint) - 1
        plans = daemon.admin(stubs.StorefrontServiceStub)
        await plans.DeleteIndustry(rpc.DeleteIndustryRequest(name="industries/restaurant", etag='"1"'))

        async def story(stub: Any) -> list[tuple[int, str]]:
            told = []
            async with watching(stub, start_at) as heard:
                while not told or told[-1][1] != "industries/restaurant":
                    change = (await heard()).change
                    told.append((change.kind, change.name))
            return told

        seen, spied = await story(own), await story(foreign)
        assert ("organizations/acme/blueprints/bp-crm" in dict(map(reversed, seen))) is True  # type: ignore[arg-type]
        assert all("crm" not in name for _, name in spied)
        assert (rpc.CatalogChange.KIND_REMOVED, "blueprints/bp-shop/versions/1.0.0") in spied
        assert (rpc.CatalogChange.KIND_REMOVED, "industries/restaurant") in spied


async def test_an_upgrade_carries_a_configuration_along(start: Start, folder: Path) -> None:
    old = {"type": "object", "properties": {"size": {"type": "integer"}}}
    write(folder, "bp-shop", version="1.0.0", configSchema=old)
    async with start() as daemon:
        write(folder, "bp-shop", version="2.0.0", configSchema={"type": "object", "properties": {}})
        await sync(daemon)
        wish = rpc.ValidateConfigRequest(
            version="blueprints/bp-shop/versions/2.0.0",
            mode=rpc.ValidateConfigRequest.MODE_UPGRADE,
            config={"size": 3},
            current={"size": 3},
            current_version="1.0.0",
        )  # fmt: skip - one request
        assert await reason_of(catalog(daemon).ValidateConfig(wish)) == "FIELD_REMOVED"
        wish.drop_unknown = True
        carried = await catalog(daemon).ValidateConfig(wish)
        assert (list(carried.dropped_paths), len(carried.changes)) == (["/size"], 1)
        assert (await sources(daemon).GetSource(rpc.GetSourceRequest(name="sources/public"))).version_count == 2

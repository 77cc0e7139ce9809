"""What administrators change while the catalogue runs: sources, versions, the storefront; with what follows and is told."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst.catalog.v1 import events_pb2
from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc as stubs
from catalyst_catalog.store import tables
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from catalyst_testkit.fake_registry import FakeRegistry
from sqlalchemy import delete, select

from .asking import Start, catalog, outbox, read, sources, storefront, sync
from .makers import document, needs, write
from .signing import Signer

pytestmark = pytest.mark.either_database
SHOP = "blueprints/bp-shop/versions/1.0.0"


def moderation(daemon: RunningDaemon, **who: Any) -> "stubs.ModerationServiceAsyncStub":
    return daemon.stub(stubs.ModerationServiceStub, **(who or {"subject": "ada", "roles": ["sovereign-admin"]}))


def officer(daemon: RunningDaemon) -> "stubs.ModerationServiceAsyncStub":
    return moderation(daemon, subject="sec", roles=["security-officer"])


def shop(daemon: RunningDaemon) -> "stubs.StorefrontServiceAsyncStub":
    return daemon.admin(stubs.StorefrontServiceStub)


async def told(daemon: RunningDaemon, kind: type[Any]) -> list[Any]:
    """The events of one kind, in order."""
    t = tables.metadata.tables["outbox"]
    async with daemon.daemon.db.read() as sql:
        rows = await sql.execute(select(t.c.body).where(t.c.schema == kind.DESCRIPTOR.full_name).order_by(t.c.number))
    return [kind.FromString(body) for body in rows.scalars()]


async def test_a_withdrawn_version_stays_in_locks_and_in_nothing_new(start: Start, folder: Path) -> None:
    write(folder, "bp-shop")
    write(folder, "bp-mall", depends=needs(shop="^1"))
    async with start() as daemon:
        stub = catalog(daemon)
        wish = rpc.ResolveRequest(roots=[pb.Demand(name="blueprints/bp-mall")])
        lock = (await stub.Resolve(wish)).lock
        yanked = await moderation(daemon).YankVersion(rpc.YankVersionRequest(name=SHOP, reason="it loses mail"))
        assert (yanked.state, yanked.state_reason) == (pb.BlueprintVersion.STATE_YANKED, "it loses mail")
        assert (await stub.GetVersion(rpc.GetVersionRequest(name=SHOP))).etag == yanked.etag
        assert await reason_of(stub.Resolve(wish)) == "UNSATISFIABLE"
        wish.lock.CopyFrom(lock)
        kept = await stub.Resolve(wish)
        assert kept.lock.lock_digest == lock.lock_digest
        assert [warning.reason for warning in kept.warnings] == ["YANKED"]
        await officer(daemon).QuarantineVersion(rpc.QuarantineVersionRequest(name=SHOP, reason="a leaked key"))
        assert await reason_of(stub.Resolve(wish)) == "VERSION_QUARANTINED"
        refused = moderation(daemon).UnyankVersion(rpc.UnyankVersionRequest(name=SHOP, reason="sorry"))
        assert await reason_of(refused) == "ILLEGAL_TRANSITION"
        await officer(daemon).ReleaseVersion(rpc.ReleaseVersionRequest(name=SHOP, reason="checked again"))
        (quarantined,) = await told(daemon, events_pb2.VersionQuarantined)
        assert (quarantined.actor, quarantined.reason) == ("sec", "a leaked key")
        assert (await outbox(daemon)).count("version.released") == 1


async def test_a_decision_outlives_every_sync(start: Start, folder: Path) -> None:
    write(folder, "bp-shop")
    async with start() as daemon:
        old = rpc.DeprecateVersionRequest(name=SHOP, reason="old", replacement="blueprints/bp-nothing")
        assert await reason_of(moderation(daemon).DeprecateVersion(old)) == "REPLACEMENT_UNKNOWN"
        old.replacement = "blueprints/bp-shop"
        made = await moderation(daemon).DeprecateVersion(old)
        assert (made.state, made.replacement) == (pb.BlueprintVersion.STATE_DEPRECATED, "blueprints/bp-shop")
        await sources(daemon).SyncSource(rpc.SyncSourceRequest(name="sources/public", full=True))
        await sync(daemon)
        assert (await catalog(daemon).GetVersion(rpc.GetVersionRequest(name=SHOP))).etag == made.etag
        stale = rpc.YankVersionRequest(name=SHOP, reason="now", etag='"1"')
        assert await reason_of(moderation(daemon).YankVersion(stale)) == "ETAG_MISMATCH"


async def test_of_a_private_version_the_sovereign_sees_the_state_and_no_content(
    start: Start, folder: Path, home: Path
) -> None:
    write(home / "acme", "bp-crm")
    name = "organizations/acme/blueprints/bp-crm/versions/1.0.0"
    async with start(organization_folders={"acme": home / "acme"}) as daemon:
        stranger = moderation(daemon, subject="spy", groups=["/rival/org-admin"])
        for asked in (name, name.replace("crm", "crx")):
            assert (
                await reason_of(stranger.YankVersion(rpc.YankVersionRequest(name=asked, reason="x"))) == "ROLE_DENIED"
            )
        seen = await moderation(daemon).YankVersion(rpc.YankVersionRequest(name=name, reason="x"))
        assert (seen.name, seen.semver, seen.digest, len(seen.depends)) == (name, "1.0.0", "", 0)
        own = moderation(daemon, subject="ada", groups=["/acme/org-admin"])
        assert (await own.UnyankVersion(rpc.UnyankVersionRequest(name=name, reason="x"))).digest


async def test_a_source_is_made_read_changed_and_taken_away_with_what_it_brought(
    start: Start, folder: Path, home: Path
) -> None:
    write(home / "own", "bp-extra")
    write(home / "own", "bp-early", version="2.0.0-rc.1")
    async with start() as daemon:
        stub = sources(daemon)
        wish = rpc.CreateSourceRequest(source_id="extra")
        wish.source.kind, wish.source.scope = "directory", pb.Source.SCOPE_SOVEREIGN
        wish.source.config.update({"folder": str(home / "own")})
        made = await stub.CreateSource(wish)
        assert (made.priority, made.trust.signature) == (10, pb.TrustPolicy.REQUIREMENT_NONE)
        assert await reason_of(stub.CreateSource(wish)) == "SOURCE_EXISTS"
        await read(daemon)
        held = await stub.GetSource(rpc.GetSourceRequest(name="sources/extra"))
        assert held.blueprint_count == held.version_count == 2
        change = rpc.UpdateSourceRequest(source=held, etag=made.etag, update_mask={"paths": ["priority"]})
        assert await reason_of(stub.UpdateSource(change)) == "ETAG_MISMATCH"
        change.etag = held.etag
        change.source.priority = 12
        after = await stub.UpdateSource(change)
        assert (after.priority, after.config) == (12, held.config)
        early = rpc.ResolveRequest(roots=[pb.Demand(name="blueprints/bp-early", range="^2 || >=1.9")])
        assert await reason_of(catalog(daemon).Resolve(early)) == "NO_MATCH"
        allowed = rpc.ResolveRequest(roots=early.roots, policy=rpc.ResolvePolicy(allow_prereleases=True))
        assert [e.version for e in (await catalog(daemon).Resolve(allowed)).lock.entries] == ["2.0.0-rc.1"]
        after = await sync(daemon, "sources/extra")  # the sync that the change woke changes the source as well
        after.prereleases = True
        opened = rpc.UpdateSourceRequest(source=after, etag=after.etag, update_mask={"paths": ["prereleases"]})
        assert (await stub.UpdateSource(opened)).prereleases
        assert [e.version for e in (await catalog(daemon).Resolve(early)).lock.entries] == ["2.0.0-rc.1"]
        last = await sync(daemon, "sources/extra")
        await stub.DeleteSource(rpc.DeleteSourceRequest(name="sources/extra", etag=last.etag))
        assert await reason_of(stub.GetSource(rpc.GetSourceRequest(name="sources/extra"))) == "SOURCE_NOT_FOUND"
        orphan = await catalog(daemon).GetBlueprint(rpc.GetBlueprintRequest(name="blueprints/bp-extra"))
        assert (orphan.orphaned, orphan.latest_version) == (True, "")
        resolve = rpc.ResolveRequest(roots=[pb.Demand(name="blueprints/bp-extra")])
        assert await reason_of(catalog(daemon).Resolve(resolve)) == "NO_MATCH"
        again = await stub.CreateSource(wish)
        assert again.version > last.version, "who watches sees what came after what"
        await sync(daemon, "sources/extra")
        assert (await catalog(daemon).Resolve(resolve)).lock.entries


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "nothing", "scope": 2}, "PLUGIN_UNAVAILABLE"),
        ({"kind": "directory", "scope": 1, "config": {"folder": "/x"}}, "PUBLIC_SOURCE_FIXED"),
        ({"kind": "directory", "scope": 2, "config": {"folder": "x", "foo": 1}}, "CONFIG_INVALID"),
        (
            {"kind": "directory", "scope": 2, "config": {"folder": "/x"}, "trust": {"keys": ["rubbish"]}},
            "CONFIG_INVALID",
        ),
        ({"kind": "directory", "scope": 3, "config": {"folder": "/x"}}, "REQUEST_INVALID"),
    ],
)
async def test_a_source_that_cannot_be_is_refused(daemon: RunningDaemon, fields: dict[str, Any], reason: str) -> None:
    wish = rpc.CreateSourceRequest(source_id="extra", source=pb.Source(**fields))
    assert await reason_of(sources(daemon).CreateSource(wish)) == reason


async def test_a_restart_takes_back_nothing_that_was_changed_of_a_configured_source(start: Start, folder: Path) -> None:
    async with start() as daemon:
        held = await sources(daemon).GetSource(rpc.GetSourceRequest(name="sources/public"))
        wish = rpc.UpdateSourceRequest(source=held, etag=held.etag, update_mask={"paths": ["interval"]})
        wish.source.interval.FromSeconds(7200)
        await sources(daemon).UpdateSource(wish)
        elsewhere = rpc.UpdateSourceRequest(source=held, update_mask={"paths": ["config"]})
        elsewhere.source.config.update({"folder": "/elsewhere"})

        async def moved() -> str | None:
            elsewhere.etag = (await sources(daemon).GetSource(rpc.GetSourceRequest(name="sources/public"))).etag
            reason = await reason_of(sources(daemon).UpdateSource(elsewhere))
            return reason if reason != "ETAG_MISMATCH" else None  # a sync came in between

        assert await eventually(moved, within=60) == "PUBLIC_SOURCE_FIXED"
    async with start() as daemon:
        after = await sources(daemon).GetSource(rpc.GetSourceRequest(name="sources/public"))
        assert after.interval.seconds == 7200


async def test_a_failing_item_is_taken_up_again_when_somebody_asks(start: Start, folder: Path) -> None:
    path = write(folder, "bp-bad", {**document("bp-other")})
    async with start() as daemon:
        stub = sources(daemon)
        (issue,) = (await stub.ListIssues(rpc.ListIssuesRequest(parent="sources/public"))).issues
        retried = await stub.RetryIssue(rpc.RetryIssueRequest(name=issue.name))
        assert retried.name == issue.name
        await sync(daemon)
        (again,) = (await stub.ListIssues(rpc.ListIssuesRequest(parent="sources/public"))).issues
        assert (again.name, again.attempts > issue.attempts) == (issue.name, True)
        path.unlink()
        write(folder, "bp-bad")
        await sync(daemon)
        assert await reason_of(stub.RetryIssue(rpc.RetryIssueRequest(name=issue.name))) == "ISSUE_NOT_FOUND"


async def test_a_patch_of_a_plan_keeps_the_rest_and_a_stale_etag_is_refused(daemon: RunningDaemon) -> None:
    stub = shop(daemon)
    before = await stub.GetPlan(rpc.GetPlanRequest(name="plans/s"))
    wish = rpc.UpdatePlanRequest(plan={"name": "plans/s", "popular": True}, etag=before.etag)
    after = await stub.UpdatePlan(wish)
    assert after.popular
    for field in ("features", "limits", "sort", "price", "next_plan", "title"):
        assert getattr(after, field) == getattr(before, field)
    assert await reason_of(stub.UpdatePlan(wish)) == "ETAG_MISMATCH"
    unknown = rpc.UpdatePlanRequest(plan=wish.plan, etag=after.etag, update_mask={"paths": ["version"]})
    assert await reason_of(stub.UpdatePlan(unknown)) == "REQUEST_INVALID"
    assert (await stub.GetPriceBook(rpc.GetPriceBookRequest(name="priceBooks/current"))).number == 1
    (changed,) = [e for e in await told(daemon, events_pb2.OfferChanged) if e.offer == "plans/s" and e.version == 2]
    assert (changed.change, list(changed.changed_paths)) == (events_pb2.OfferChanged.CHANGE_UPDATED, ["popular"])


async def test_one_limit_of_a_plan_is_changed_alone(daemon: RunningDaemon) -> None:
    stub = shop(daemon)
    held = await stub.GetPlan(rpc.GetPlanRequest(name="plans/s"))
    assert all(held.limits.HasField(name) for name in ("cpu_milli", "ram_mb", "disk_gb"))
    for paths in (["limits.ram_mb"], []):
        wish = rpc.UpdatePlanRequest(plan={"name": held.name}, etag=held.etag, update_mask={"paths": paths})
        wish.plan.limits.ram_mb = held.limits.ram_mb + 512
        after = await stub.UpdatePlan(wish)
        assert after.limits.ram_mb == held.limits.ram_mb + 512
        assert (after.limits.cpu_milli, after.limits.disk_gb) == (held.limits.cpu_milli, held.limits.disk_gb)
        held = after
    open_end = rpc.UpdatePlanRequest(plan=held, etag=held.etag, update_mask={"paths": ["limits.disk_gb"]})
    open_end.plan.limits.ClearField("disk_gb")
    assert not (await stub.UpdatePlan(open_end)).limits.HasField("disk_gb"), "what is named and not set has no limit"


async def test_a_price_is_changed_with_the_next_book_and_restarts_keep_it(start: Start, folder: Path) -> None:
    async with start() as daemon:
        stub = shop(daemon)
        held = await stub.GetAddOn(rpc.GetAddOnRequest(name="addOns/api-access"))
        wish = rpc.UpdateAddOnRequest(add_on={"name": held.name}, etag=held.etag)
        wish.add_on.price.minor, wish.add_on.price.currency = 7777, "OMR"
        await stub.UpdateAddOn(wish)
        rates = rpc.PublishPriceBookRequest(expected_number=2)
        rate = rates.rates.add(meter="meters/egress_gb")
        rate.unit_price.minor, rate.unit_price.currency = 12, "OMR"
        assert (await stub.PublishPriceBook(rates)).number == 3
        assert await reason_of(stub.PublishPriceBook(rates)) == "PRICE_BOOK_MOVED"
        await stub.DeleteIndustry(rpc.DeleteIndustryRequest(name="industries/restaurant", etag='"1"'))
    for _ in range(3):
        async with start() as daemon:
            book = await storefront(daemon).GetPriceBook(rpc.GetPriceBookRequest(name="priceBooks/current"))
            assert book.number == 3
            assert [row.price.minor for row in book.add_ons if row.slug == "api-access"] == [7777]
            assert [r.unit_price.minor for r in book.rates if r.meter == "meters/egress_gb"] == [12]
            gone = storefront(daemon).GetIndustry(rpc.GetIndustryRequest(name="industries/restaurant"))
            assert await reason_of(gone) == "INDUSTRY_NOT_FOUND"
            told_by_seed = await shop(daemon).ImportSeed(rpc.ImportSeedRequest())
            assert told_by_seed == rpc.ImportSeedResponse(kept=["addOns/api-access", "industries/restaurant"])


async def test_a_start_brings_no_seed_into_a_storefront_that_was_seeded_before_and_a_wish_does(
    start: Start, folder: Path
) -> None:
    async with start() as daemon:
        row = tables.offers.c
        async with daemon.daemon.db.begin() as sql:
            # As a release left it that had one plan less.
            await sql.execute(delete(tables.offers).where(row.kind == "plans", row.slug == "xl"))
    async with start() as daemon:
        xl = rpc.GetPlanRequest(name="plans/xl")
        assert await reason_of(shop(daemon).GetPlan(xl)) == "PLAN_NOT_FOUND"
        look = await shop(daemon).ImportSeed(rpc.ImportSeedRequest(validate_only=True))
        assert list(look.changed) == ["plans/xl"]
        assert await reason_of(shop(daemon).GetPlan(xl)) == "PLAN_NOT_FOUND"
        assert await shop(daemon).ImportSeed(rpc.ImportSeedRequest()) == look
        assert (await shop(daemon).GetPlan(xl)).name == "plans/xl"
        assert await shop(daemon).ImportSeed(rpc.ImportSeedRequest()) == rpc.ImportSeedResponse()


async def test_rates_of_every_model_come_back_as_they_were_given(daemon: RunningDaemon) -> None:
    wish = rpc.PublishPriceBookRequest(
        rates=[
            pb.Rate(
                meter="meters/mail",
                model=pb.Rate.MODEL_PACKAGE,
                unit_price={"minor": 5, "currency": "OMR"},
                package_size="1000",
            ),
            pb.Rate(
                meter="meters/egress_gb",
                model=pb.Rate.MODEL_GRADUATED,
                tiers=[
                    {"up_to": "10", "unit_price": {"minor": 9, "currency": "OMR"}},
                    {"unit_price": {"minor": 7, "currency": "OMR"}},
                ],
            ),
        ]
    )  # fmt: skip - one request
    wish.valid_from_time.FromDatetime(datetime(2100, 1, 1, tzinfo=UTC))
    book = await shop(daemon).PublishPriceBook(wish)
    assert {rate.meter: rate for rate in book.rates}.items() >= {rate.meter: rate for rate in wish.rates}.items()
    for broken, reason in (
        (pb.Rate(meter="meters/mail", model=pb.Rate.MODEL_PACKAGE), "RATE_INVALID"),
        (pb.Rate(meter="meters/mail", unit_price={"minor": 1, "currency": "EUR"}), "CURRENCY_UNSUPPORTED"),
    ):
        request = rpc.PublishPriceBookRequest(rates=[broken])
        assert await reason_of(shop(daemon).PublishPriceBook(request)) == reason


async def test_apps_are_found_by_words_and_counted_by_plans(daemon: RunningDaemon) -> None:
    stub = storefront(daemon)
    found = await stub.SearchApps(rpc.SearchAppsRequest(q="WORD blog"))
    assert [app.name for app in found.apps] == ["apps/wordpress"]
    assert (await stub.SearchApps(rpc.SearchAppsRequest(q="%"))).total_size == 0
    first = await stub.SearchApps(rpc.SearchAppsRequest(page_size=20))
    rest = await stub.SearchApps(rpc.SearchAppsRequest(page_size=20, page_token=first.next_page_token))
    assert len({app.name for app in (*first.apps, *rest.apps)}) == first.total_size == 27
    wish = rpc.CheckCapacityRequest(plan="plans/s", apps=["apps/nextcloud"], used={"disk_gb": 24, "ram_mb": 100})
    capacity = (await catalog_shop(daemon).CheckCapacity(wish)).capacity
    assert (capacity.fits, capacity.shortfall.disk_gb > 0, capacity.suggested_plan) == (False, True, "plans/m")
    unknown = rpc.CheckCapacityRequest(plan="plans/s", apps=["apps/nothing"])
    assert await reason_of(catalog_shop(daemon).CheckCapacity(unknown)) == "APP_UNKNOWN"


def catalog_shop(daemon: RunningDaemon) -> "stubs.StorefrontServiceAsyncStub":
    return daemon.stub(stubs.StorefrontServiceStub, subject="dev", groups=["/acme/org-developer"])


async def test_unsigned_is_rejected_a_wrong_key_quarantines_and_a_revoked_key_stops_new_installations(
    start: Start, folder: Path
) -> None:
    ours, theirs = Signer(), Signer()
    with FakeRegistry() as registry:
        for name in ("good", "bare", "evil"):
            manifest = yaml.safe_dump(document(f"bp-{name}")).encode()
            digest = registry.publish(name, "1.0.0", {"blueprint.yaml": manifest})
            signer = theirs if name == "evil" else ours
            if name != "bare":
                registry.sign(name, digest, [signer.sign(digest)], [signer.attest(digest)])
        async with start() as daemon:
            wish = rpc.CreateSourceRequest(source_id="signed")
            wish.source.kind, wish.source.scope = "oci_index", pb.Source.SCOPE_SOVEREIGN
            wish.source.config.update({"registry": registry.url})
            wish.source.trust.keys.append(ours.pem)
            made = await sources(daemon).CreateSource(wish)
            assert made.trust.signature == made.trust.sbom == pb.TrustPolicy.REQUIREMENT_REQUIRED
            held = await sync(daemon, "sources/signed")
            issues = (await sources(daemon).ListIssues(rpc.ListIssuesRequest(parent="sources/signed"))).issues
            assert {issue.ref: issue.reason for issue in issues} == {
                "bare/1.0.0": "SIGNATURE_MISSING",
                "evil/1.0.0": "SIGNATURE_INVALID",
            }  # fmt: skip - reads as a table
            stub = catalog(daemon)
            evil = await stub.GetVersion(rpc.GetVersionRequest(name="blueprints/bp-evil/versions/1.0.0"))
            assert evil.state == pb.BlueprintVersion.STATE_QUARANTINED
            release = rpc.ReleaseVersionRequest(name=evil.name, reason="we asked them")
            released = await officer(daemon).ReleaseVersion(release)
            assert released.state == pb.BlueprintVersion.STATE_VERIFIED
            bare = stub.GetBlueprint(rpc.GetBlueprintRequest(name="blueprints/bp-bare"))
            assert await reason_of(bare) == "BLUEPRINT_NOT_FOUND"
            good = await stub.GetVersion(rpc.GetVersionRequest(name="blueprints/bp-good/versions/1.0.0"))
            assert (good.signature, good.sbom) == (
                pb.BlueprintVersion.SIGNATURE_VERIFIED, pb.BlueprintVersion.ATTESTATION_PRESENT,
            )  # fmt: skip
            plan = rpc.PlanInstallRequest(blueprint="blueprints/bp-good", environment="environments/acme-prod")
            assert (await stub.PlanInstall(plan)).plan_digest
            revoked = rpc.UpdateSourceRequest(source=held, etag=held.etag, update_mask={"paths": ["trust"]})
            revoked.source.trust.keys[:] = [theirs.pem]
            await sources(daemon).UpdateSource(revoked)
            assert await reason_of(stub.PlanInstall(plan)) == "POLICY_REFUSED"
            after = await sync(daemon, "sources/signed")
            again = await stub.GetVersion(rpc.GetVersionRequest(name="blueprints/bp-good/versions/1.0.0"))
            assert (again.state, again.signature) == (
                pb.BlueprintVersion.STATE_VERIFIED,
                pb.BlueprintVersion.SIGNATURE_INVALID,
            )  # fmt: skip - what was published stays where it is
            low = rpc.UpdateSourceRequest(source=after, etag=after.etag, update_mask={"paths": ["trust"]})
            low.source.trust.signature = pb.TrustPolicy.REQUIREMENT_NONE
            assert await reason_of(sources(daemon).UpdateSource(low)) == "TRUST_TOO_LOW"


async def test_an_organization_reads_no_folder_of_this_machine(start: Start, folder: Path) -> None:
    async with start() as daemon:
        own = daemon.stub(stubs.SourceServiceStub, subject="ada", groups=["/acme/org-admin"])
        wish = rpc.CreateSourceRequest(source_id="mine")
        wish.source.kind, wish.source.scope, wish.source.org = "directory", 3, "organizations/acme"
        wish.source.config.update({"folder": "/etc"})
        assert await reason_of(own.CreateSource(wish)) == "TRUST_TOO_LOW"
        wish.source.kind = "git"
        wish.source.ClearField("config")
        wish.source.config.update({"url": "file:///etc"})
        assert await reason_of(own.CreateSource(wish)) == "CONFIG_INVALID"
        wish.source.org = "organizations/rival"
        assert await reason_of(own.CreateSource(wish)) == "SOURCE_NOT_FOUND"

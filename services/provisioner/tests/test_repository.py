"""The trees: what a death leaves behind stops nobody, and who asks for them is told of the newest commit."""

import asyncio
from pathlib import Path

import httpx
import pytest
from catalyst_provisioner.gitserver import GitServer, Passwords
from catalyst_provisioner.repository import Repositories
from catalyst_testkit.servers import sixth_version


def test_locks_of_a_process_that_died_do_not_stop_the_next(tmp_path: Path) -> None:
    trees = Repositories(tmp_path)
    trees.commit("omantel", "uid-1", {"a/b.yaml": b"one"}, "first", 1)
    for locked in ("refs/heads/main", "objects/ab/cdef"):
        orphan = trees.path("omantel") / f"{locked}.lock"
        orphan.parent.mkdir(parents=True, exist_ok=True)
        orphan.touch()
    head = trees.commit("omantel", "uid-1", {"a/b.yaml": b"two"}, "second", 2)
    assert trees.head("omantel") == (head, "second")
    assert trees.files("omantel") == {"a/b.yaml": b"two"}
    assert not list(trees.path("omantel").rglob("*.lock"))


def test_the_same_tree_makes_no_commit(tmp_path: Path) -> None:
    trees = Repositories(tmp_path)
    assert trees.commit("o", "u", {"a": b"1"}, "first", 1) == trees.commit("o", "u", {"a": b"1"}, "again", 2)


@pytest.mark.parametrize("version", [4, 6])
async def test_whoever_asks_is_told_of_the_newest_commit_and_not_of_a_former_sovereigns(
    version: int, tmp_path: Path
) -> None:
    trees, passwords, stop = Repositories(tmp_path), Passwords(b"k" * 32), asyncio.Event()
    server = GitServer("127.0.0.1:0" if version == 4 else f"{sixth_version()}:0", trees, passwords)
    serving = asyncio.create_task(server.run(stop))
    try:
        async with httpx.AsyncClient(trust_env=False) as http:

            async def told(uid: str) -> httpx.Response:
                login = (passwords.username("omantel", "c"), passwords.password(uid, "c"))
                return await http.get(f"{server.url('omantel')}/info/refs?service=git-upload-pack", auth=login)

            for uid, content in (("uid-1", b"one"), ("uid-1", b"two"), ("uid-2", b"two")):
                head = trees.commit("omantel", uid, {"a": content}, "m", 1)
                once, again = await told(uid), await told(uid)
                assert f"{head} refs/heads/main".encode() in once.content
                assert (again.content, again.headers["content-type"]) == (once.content, once.headers["content-type"])
            assert (await told("uid-1")).status_code == 401
    finally:
        stop.set()
        await serving
        await server.close()


async def test_clusters_are_told_the_address_by_which_they_reach_the_trees(tmp_path: Path) -> None:
    server = GitServer("127.0.0.1:0", Repositories(tmp_path), Passwords(b"k" * 32), base="https://trees.example/")
    try:
        assert server.url("omantel") == "https://trees.example/omantel.git"
    finally:
        await server.close()

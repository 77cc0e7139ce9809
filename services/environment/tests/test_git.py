"""Repositories over HTTP: who reads, who pushes, and what becomes of what was pushed."""

import asyncio
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst_environment.domain import trees
from catalyst_environment.githttp import GitServer
from catalyst_environment.repositories import Repositories
from catalyst_testkit import eventually
from catalyst_testkit.servers import sixth_version
from dulwich import porcelain
from dulwich.client import HTTPUnauthorized
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.objects import ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from .house import A_MOMENT, conditions
from .shop import ENV, Shop

MAIN = b"refs/heads/main"


class Hand:
    """One person's clone of one repository, as any Git client has it."""

    def __init__(self, shop: Shop, folder: Path, repository: str = "blog", home: str = "acme") -> None:
        server: Any = next(w for w in shop.house.daemon.daemon.workers if type(w).__name__ == "GitServer")
        self._url = f"http://{server.address}/{home}/{repository}.git"
        self._folder = folder
        self._issuer = shop.house.daemon.issuer

    def login(self, *names: str) -> dict[str, str]:
        """`names`: groups of Organizations, and roles over the Sovereign."""
        groups, roles = ([name for name in names if ("/" in name) is is_group] for is_group in (True, False))
        return {"username": "any", "password": self._issuer.token("hand", groups=groups, roles=roles)}

    async def clone(self, *groups: str, name: str = "clone") -> Repo:
        def work() -> Repo:
            quiet = io.BytesIO()
            return porcelain.clone(
                self._url, self._folder / name, branch=b"main", errstream=quiet, **self.login(*groups)
            )

        return await asyncio.to_thread(work)

    async def push(self, clone: Repo, *groups: str, to: bytes = MAIN, force: bool = False) -> str:
        """What the client shows."""

        def work() -> str:
            shown = io.BytesIO()
            spec = (b"+" if force else b"") + MAIN + b":" + to
            porcelain.push(clone, self._url, spec, outstream=shown, errstream=shown, **self.login(*groups))
            return shown.getvalue().decode()

        return await asyncio.to_thread(work)

    def read(self, clone: Repo) -> dict[str, bytes]:
        return {one.name: one.read_bytes() for one in Path(clone.path).iterdir() if one.is_file()}

    def commit(self, clone: Repo, **files: str) -> bytes:
        """Write files, dots in their names as `__`, and commit them."""
        names = {name.replace("__", "."): text for name, text in files.items()}
        for name, text in names.items():
            (Path(clone.path) / name).write_text(text)
        porcelain.add(clone, [str(Path(clone.path) / name) for name in names])
        return porcelain.commit(
            clone, message=b"by hand", author=b"Hand <hand@x.example>", committer=b"Hand <h@x.example>"
        )


DEVELOPER, VIEWER = "/acme/org-developer", "/acme/org-viewer"


async def test_members_read_developers_push_and_strangers_hear_the_same_of_all(shop: Shop, tmp_path: Path) -> None:
    await shop.settled(shop.install("blog"))
    hand = Hand(shop, tmp_path)
    clone = await hand.clone(VIEWER)
    assert trees.pin_of(hand.read(clone)) is not None
    hand.commit(clone, notes__md="mine\n")
    for groups in ((VIEWER,), ("/rival/org-admin",), ()):
        with pytest.raises((GitProtocolError, HTTPUnauthorized, NotGitRepository)):
            await hand.push(clone, *groups)
    with pytest.raises((GitProtocolError, HTTPUnauthorized, NotGitRepository)):
        await hand.clone("/rival/org-admin", name="stolen")
    await hand.push(clone, DEVELOPER)
    assert shop.files("blog")["notes.md"] == b"mine\n"
    clone.close()


async def test_a_push_moves_a_branch_onward_and_brings_no_secret(shop: Shop, tmp_path: Path) -> None:
    before = await shop.settled(shop.install("blog"))
    hand = Hand(shop, tmp_path)
    clone = await hand.clone(DEVELOPER)
    hand.commit(clone, values__yaml="apiToken: abcdefghijklmnop\n")
    assert "looks like a secret" in await hand.push(clone, DEVELOPER)
    clone.refs[Ref(MAIN)] = ObjectID(before.pin.commit.encode())
    other = await hand.clone(DEVELOPER, name="other")
    hand.commit(other, notes__md="first\n")
    await hand.push(other, DEVELOPER)
    hand.commit(clone, notes__md="second\n")
    assert "fetch first" in await hand.push(clone, DEVELOPER, force=True)
    assert "only branches" in await hand.push(clone, DEVELOPER, to=b"refs/tags/v1")
    assert shop.files("blog")["notes.md"] == b"first\n"
    for repo in (clone, other):
        repo.close()


async def test_what_a_person_wrote_is_installed_and_stays_with_the_next_write(shop: Shop, tmp_path: Path) -> None:
    one = await shop.settled(shop.install("blog"))
    hand = Hand(shop, tmp_path)
    clone = await hand.clone(DEVELOPER)
    hand.commit(clone, notes__md="mine\n", values__yaml="# by hand\nreplicas: 3\n")
    await hand.push(clone, DEVELOPER)
    clone.close()

    async def taken() -> pb.Application | None:
        shop.house.clock.advance(A_MOMENT)
        now = await shop.get("blog")
        return now if dict(now.config) == {"replicas": 3} and now.pin.commit != one.pin.commit else None

    await shop.settled(await eventually(taken, within=60, what="the person's values are the Application's"))
    files = shop.files("blog")
    assert (files["notes.md"], json.loads(files["values.yaml"])) == (b"mine\n", {"replicas": 3})
    assert b'"replicas": 3' in files["release.yaml"]
    await shop.settled(shop.dev.PauseApplication(rpc.PauseApplicationRequest(name=f"{ENV}/applications/blog")))
    assert shop.files("blog")["notes.md"] == b"mine\n"
    assert json.loads(shop.files("blog")["values.yaml"]) == {"replicas": 3}


async def test_what_cannot_be_taken_over_is_said_and_what_is_installed_stays(shop: Shop) -> None:
    one = await shop.settled(shop.install("blog"))
    files = {**shop.files("blog"), "values.yaml": b"- no mapping\n"}
    head = shop.repositories.commit("acme", "blog", "main", files, "by hand", 9, onto=one.pin.commit)

    async def told() -> bool:
        shop.house.clock.advance(A_MOMENT)
        return conditions(await shop.get("blog")).get("DirectChange") == "FALSE Refused"

    await eventually(told, within=60, what="it is said")
    now = await shop.get("blog")
    assert now.pin.commit == one.pin.commit
    assert head in next(c.message for c in now.conditions if c.type == "DirectChange")


async def test_the_sovereigns_own_home_is_read_by_its_officers_and_written_by_nobody(
    shop: Shop, tmp_path: Path
) -> None:
    shop.repositories.commit("system", "catalyst-config", "main", {"a": b"b"}, "Begin", 9, onto=None)
    hand = Hand(shop, tmp_path, "catalyst-config", home="system")
    clone = await hand.clone("security-officer")
    assert hand.read(clone) == {"a": b"b"}
    hand.commit(clone, c="d")
    for who in ("sovereign-admin", "security-officer"):
        with pytest.raises((GitProtocolError, HTTPUnauthorized, NotGitRepository)):
            await hand.push(clone, who)
    for stranger in ("/acme/org-admin", "/system/org-admin", "billing-admin"):
        with pytest.raises((GitProtocolError, HTTPUnauthorized, NotGitRepository)):
            await hand.clone(stranger, name=stranger.strip("/").replace("/", "-"))
    clone.close()


async def test_repositories_are_served_in_a_cluster_of_the_sixth_version(tmp_path: Path) -> None:
    async def shut() -> None:
        """It holds nothing."""

    door: Any = SimpleNamespace(close=shut)
    server, stop = GitServer(f"{sixth_version()}:0", Repositories(tmp_path), door), asyncio.Event()
    serving = asyncio.create_task(server.run(stop))
    try:
        assert server.address.startswith("[::1]:")
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://{server.address}/")).status_code == 404
    finally:
        stop.set()
        await serving
        await server.close()

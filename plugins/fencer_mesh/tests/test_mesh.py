"""The fencers' suite over a fake Kubernetes API, and what a fence of the mesh owes beside.

The fake keeps one Service, refuses patches of what it is no more, and tells whether another cluster's client would be led to it.
"""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from catalyst_fencer_mesh.fencer import BEFORE, GLOBAL, SHARED, MeshFencer
from catalyst_fencer_mesh.services import configured
from catalyst_sdk import Permanent
from catalyst_sdk.continuum import Effect
from catalyst_testkit.continuum.fencer_suite import DistantFencerSuite, FencerBench

EAST, PATH = "sb-east-rtz-dev", "/api/v1/namespaces/shop/services/orders"


class FakeApi(BaseHTTPRequestHandler):
    """One request; the class is made anew for each server."""

    annotations: dict[str, str]
    version = 1
    status = 0
    """What everything is answered with, for faults; 0: as it should be."""
    before_patch: Callable[[], None] | None = None
    """Called once before the next patch: somebody who is quicker."""

    def do_GET(self) -> None:
        self._answer(self.status or (200 if self._may() else 401))

    def do_PATCH(self) -> None:
        fake, patch = type(self), json.loads(self.rfile.read(int(self.headers["Content-Length"])))["metadata"]
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        if fake.before_patch is not None:
            hurry, fake.before_patch = fake.before_patch, None
            hurry()
            fake.version += 1
        if self.status or patch["resourceVersion"] != str(fake.version):
            self._answer(self.status or 409)
            return
        whole = {**fake.annotations, **patch["annotations"]}
        fake.annotations = {key: value for key, value in whole.items() if value is not None}
        fake.version += 1
        self._answer(200)

    def _may(self) -> bool:
        return self.headers["Authorization"] == "Bearer right" and self.path.partition("?")[0] == PATH

    def _answer(self, status: int) -> None:
        said: dict[str, Any] = {"metadata": {"resourceVersion": str(self.version), "annotations": self.annotations}}
        raw = json.dumps(said if status == 200 else {"message": "as it was told"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class Mesh:
    """The fake, and a fencer over it."""

    def __init__(self, folder: Path) -> None:
        self.api: type[FakeApi] = type("Api", (FakeApi,), {"annotations": {GLOBAL: "true"}})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self.api)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self._token = folder / "token"
        self._token.write_text("right\n")

    def fencer(self) -> MeshFencer:
        place = {
            "api": f"http://127.0.0.1:{self._server.server_port}",
            "token_file": str(self._token),
            "namespace": "shop",
            "service": "orders",
        }
        return MeshFencer(configured({"regions": {EAST: place}, "patience_seconds": 30}))

    async def write(self) -> bool | None:
        """Whether a client in another cluster reaches the region's writers."""
        return self.api.annotations.get(GLOBAL) == "true" and self.api.annotations.get(SHARED, "true") != "false"

    async def fence(self, epoch: int) -> bool:
        return await self.fencer().fence(region=EAST, epoch=epoch, run="r", budget=30) is not None

    async def unfence(self, epoch: int) -> Effect:
        return await self.fencer().unfence(region=EAST, epoch=epoch, run="r")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    made = Mesh(tmp_path)
    yield made
    made.close()


class TestMesh(DistantFencerSuite):
    @pytest.fixture
    def bench(self, mesh: Mesh) -> FencerBench:
        async def lead(epoch: int) -> None:
            """A global Service is all it needs."""

        async def kill() -> None:
            mesh.api.status = 503

        async def restart() -> None:
            mesh.api.status = 0

        return FencerBench(mesh.fencer, EAST, lead, mesh.write, restart, kill)


async def test_somebody_who_is_quicker_is_not_written_over(mesh: Mesh) -> None:
    fencer = mesh.fencer()
    assert await mesh.unfence(1) is Effect.DONE

    def newer() -> None:
        mesh.api.annotations |= {"dr.openova.io/mesh-epoch": "7", "dr.openova.io/mesh-epoch-fenced": "0"}

    mesh.api.before_patch = newer
    assert await fencer.fence(region=EAST, epoch=2, run="r", budget=30) is None
    assert await mesh.write() is True
    assert await mesh.unfence(6) is Effect.STALE_EPOCH


@pytest.mark.parametrize("shared", ["true", "false", None])
async def test_a_lifted_fence_leaves_the_service_as_it_was(mesh: Mesh, shared: str | None) -> None:
    if shared is not None:
        mesh.api.annotations[SHARED] = shared
    assert await mesh.fence(1)
    assert await mesh.fence(2)  # again, over its own fence: what was before stays what was before
    assert mesh.api.annotations[SHARED] == "false"
    assert await mesh.unfence(3) is Effect.DONE
    assert (mesh.api.annotations.get(SHARED), BEFORE in mesh.api.annotations) == (shared, False)


async def test_what_somebody_else_does_not_share_is_no_fence_and_stays(mesh: Mesh) -> None:
    mesh.api.annotations[SHARED] = "false"
    assert (await mesh.fencer().observe(region=EAST)).fenced is False
    assert await mesh.unfence(1) is Effect.DONE
    assert mesh.api.annotations[SHARED] == "false"


async def test_a_newer_fence_stops_older_writers_too_and_stays_the_newer_one(mesh: Mesh) -> None:
    assert await mesh.fence(5)
    assert await mesh.fence(3)
    assert (await mesh.fencer().observe(region=EAST)).epoch == 5
    assert await mesh.unfence(4) is Effect.STALE_EPOCH


async def test_a_fence_that_somebody_opened_by_hand_is_none_and_is_put_up_again(mesh: Mesh) -> None:
    assert await mesh.fence(1)
    mesh.api.annotations[SHARED] = "true"
    assert (await mesh.fencer().observe(region=EAST)).fenced is False
    assert await mesh.fence(1)
    assert await mesh.write() is False


@pytest.mark.parametrize(
    ("annotations", "status", "reason"),
    [
        ({}, 0, "SERVICE_NOT_GLOBAL"),
        ({GLOBAL: "true", "dr.openova.io/mesh-epoch": "-1"}, 0, "ANNOTATION_INVALID"),
        ({GLOBAL: "true"}, 403, "CREDENTIALS_REJECTED"),
        ({GLOBAL: "true"}, 404, "SERVICE_ABSENT"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_proved(
    mesh: Mesh, annotations: dict[str, str], status: int, reason: str
) -> None:
    mesh.api.annotations, mesh.api.status = annotations, status
    with pytest.raises(Permanent) as told:
        await mesh.fence(1)
    assert (told.value.reason, bool(told.value.user_action)) == (reason, True)

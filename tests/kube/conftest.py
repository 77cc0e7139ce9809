"""One API server for all of these tests; a namespace of its own for each."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from catalyst_kube import KINDS
from catalyst_kube.schemas import definition
from catalyst_testkit.servers import folder
from catalyst_testkit.waiting import eventually_sync

from .helms import Helm, helm_at
from .server import BUILT, KubeServer


@contextmanager
def served() -> Iterator[KubeServer]:
    if not (BUILT / "kube-apiserver").exists():
        pytest.skip("there is no API server: script/kube builds one")
    home = folder()
    server = KubeServer(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def kube() -> Iterator[KubeServer]:
    """One for all tests that leave it as it is."""
    with served() as server:
        yield server


@pytest.fixture
def own_kube() -> Iterator[KubeServer]:
    """A fresh one: definitions belong to one release of a cluster, and stay when it goes."""
    with served() as server:
        yield server


@pytest.fixture
def namespace(kube: KubeServer) -> str:
    name = f"t-{uuid.uuid4().hex[:10]}"
    status, answer = kube.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert status == 201, answer
    return name


@pytest.fixture
def own_namespace(own_kube: KubeServer) -> str:
    """Of a release at a server of its own."""
    assert own_kube.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "catalyst-test"}})[0] == 201
    return "catalyst-test"


@pytest.fixture
def helm(own_kube: KubeServer, own_namespace: str, tmp_path: Path) -> Helm:
    return helm_at(own_kube, own_namespace, tmp_path)


@pytest.fixture(scope="session")
def definitions(kube: KubeServer) -> KubeServer:
    """The server, which knows our kinds."""
    return known(kube)


def known(kube: KubeServer) -> KubeServer:
    """Tell a server of our kinds."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for kind in KINDS.values():
        status, answer = kube.ask("POST", path, definition(kind))
        assert status == 201, answer

    def served() -> bool:
        told = [kube.ask("GET", f"{path}/{kind.full_name}")[1] for kind in KINDS.values()]
        states = [{each["type"]: each["status"] for each in one["status"]["conditions"]} for one in told]
        return all(state.get("Established") == "True" and "NonStructuralSchema" not in state for state in states)

    eventually_sync(served, within=60, what="every kind is served and structural")
    return kube

"""A sandbox in a temporary folder, and a home for its agents: a gRPC servicer and a Git server, both real."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer

import grpc
import pytest
import yaml
from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_cloud_sandbox import faults, keeper
from catalyst_cloud_sandbox.account import Account
from catalyst_cloud_sandbox.plugin import catalyst_plugin
from catalyst_cloud_sandbox.provider import SandboxCloud
from catalyst_sdk import SecretRef
from catalyst_sdk.cloud import Discovered
from catalyst_sdk.context import PluginContext
from catalyst_testkit.cloud_bench import Vault
from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import MemoryRepo, Repo
from dulwich.server import DictBackend
from dulwich.web import WSGIRequestHandlerLogger, make_wsgi_chain

FQDN = "acme.omani.works"
CLUSTER = "sovereigns/acme/clusters/sb-east-mgt-prod"
PATH = f"clusters/{FQDN}/sb-east-mgt-prod"


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Silence:
    def debug(self, event: str, **fields: Any) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...


class Sandbox:
    """A bench of the conformance suite, and what our own tests need beside."""

    canary = "c4n4ry0000000000c4n4ry"
    region, size = "east", "sb2"
    endpoint = "127.0.0.1:1"
    goes_on = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = Vault(
            good=f"sbt_demo_{self.canary}", reader=f"sbr_demo_{self.canary}", bad=f"not-a-token-{self.canary}"
        )
        self.credential, self.read_only, self.rejected = SecretRef("good"), SecretRef("reader"), SecretRef("bad")
        self.config: dict[str, Any] = {"time_scale": 0.01}

    @property
    def account(self) -> Account:
        return Account(self.folder, "demo")

    def plugin(self) -> SandboxCloud:
        return catalyst_plugin(PluginContext(SystemClock(), Silence(), self.secrets, self.folder, self.config))

    async def world(self) -> Sequence[Discovered]:
        return [Discovered(r.kind, r.name, r.id, r.region, r.labels) for r in self.account.all()]

    async def plant(self, *, kind: str, name: str, region: str, labels: Mapping[str, str]) -> str:
        return self.account.create(kind=kind, name=name, region=region, labels=labels, spec={"size": self.size}).id

    async def arm(self, fault: str) -> bool:
        with self.account.store.begin() as tx:
            return bool(faults.add(tx, faults.Fault(fault)))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    folder = Path(tempfile.mkdtemp(prefix="catalyst-sandbox-"))
    yield Sandbox(folder)
    keeper.power_off(folder)
    shutil.rmtree(folder, ignore_errors=True)


class Home(service_pb2_grpc.AgentServiceServicer):
    """The provisioner as an agent sees it: it remembers everything and confirms what it is told to."""

    def __init__(self) -> None:
        self.enrolments: list[service_pb2.EnrollRequest] = []
        self.reports: list[resources_pb2.AgentReport] = []
        self.bearers: list[str] = []
        self.streams = 0
        self.confirms = True
        self.tree = service_pb2.TreeAccess(path=PATH, branch="main")
        self.heartbeat = 0.2
        self.commands: asyncio.Queue[resources_pb2.AgentCommand] = asyncio.Queue()
        self.refuse_token = ""

    async def Enroll(self, request: Any, context: Any) -> Any:
        self.enrolments.append(request)
        answer = service_pb2.EnrollResponse(
            sovereign="sovereigns/acme", cluster=CLUSTER, server="cp1", agent_token=f"agent-{len(self.enrolments)}",
            certificate_pem="simulated", role=service_pb2.EnrollResponse.ROLE_INIT, tree=self.tree,
        )  # fmt: skip
        answer.heartbeat_interval.FromMilliseconds(int(self.heartbeat * 1000))
        return answer

    async def Connect(self, request_iterator: Any, context: Any) -> Any:
        bearer = dict(context.invocation_metadata())["authorization"].removeprefix("Bearer ")
        if bearer == self.refuse_token:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "AGENT_TOKEN_INVALID")
        self.bearers.append(bearer)
        self.streams += 1
        reading = asyncio.create_task(self._read(request_iterator))
        try:
            while True:
                yield await self.commands.get()
        finally:
            reading.cancel()

    async def _read(self, incoming: Any) -> None:
        async for report in incoming:
            self.reports.append(report)
            if self.confirms:
                self.commands.put_nowait(resources_pb2.AgentCommand(ack=report.seq))

    def of(self, kind: str) -> list[Any]:
        return [getattr(report, kind) for report in self.reports if report.WhichOneof("report") == kind]

    def releases(self) -> dict[str, resources_pb2.AgentComponents.Release]:
        """The releases as the reports add up."""
        known: dict[str, resources_pb2.AgentComponents.Release] = {}
        for told in self.of("components"):
            known = {} if told.full else known
            known |= {release.name: release for release in told.releases}
            for name in told.removed:
                known.pop(name, None)
        return known

    def ready(self) -> set[str]:
        return {name for name, release in self.releases().items() if condition(release, "Ready").status == "True"}


def condition(release: resources_pb2.AgentComponents.Release, type: str) -> resources_pb2.AgentComponents.Condition:
    found = [c for c in release.conditions if c.type == type]
    return found[0] if found else resources_pb2.AgentComponents.Condition()


class GitServer:
    """A repository over HTTP, from memory."""

    def __init__(self) -> None:
        self.repo = MemoryRepo()
        self.requests: list[str] = []
        self.password = ""
        chain = make_wsgi_chain(DictBackend({"/tree.git": self.repo}))

        def counted(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            self.requests.append(environ["PATH_INFO"])
            if self.password and self.password not in environ.get("HTTP_AUTHORIZATION", ""):
                start("401 Unauthorized", [])
                return []
            return chain(environ, start)

        self._server = WSGIServer(("127.0.0.1", 0), WSGIRequestHandlerLogger)
        self._server.set_app(counted)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/tree.git"

    def push(self, files: Mapping[str, str]) -> str:
        """Replace the whole tree by `files`; the commit."""
        root = _tree(self.repo, {name.split("/")[0]: None for name in files}, files)
        commit = Commit()
        commit.tree = root
        commit.author = commit.committer = b"suite <suite@example.test>"
        commit.commit_time = commit.author_time = 0
        commit.commit_timezone = commit.author_timezone = 0
        commit.message = b"simulated"
        head = self.repo.refs.read_ref(b"refs/heads/main")
        commit.parents = [head] if head else []
        self.repo.object_store.add_object(commit)
        self.repo.refs[b"refs/heads/main"] = commit.id
        return commit.id.decode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _tree(repo: Repo | MemoryRepo, names: Mapping[str, None], files: Mapping[str, str]) -> bytes:
    tree = Tree()
    for name in names:
        if name in files:
            blob = Blob.from_string(files[name].encode())
            repo.object_store.add_object(blob)
            tree.add(name.encode(), 0o100644, blob.id)
        else:
            below = {path.removeprefix(f"{name}/"): text for path, text in files.items() if path.startswith(f"{name}/")}
            inner = {path.split("/")[0]: None for path in below}
            tree.add(name.encode(), 0o040000, _tree(repo, inner, below))
    repo.object_store.add_object(tree)
    return tree.id


def _manifests(**needs: Sequence[str]) -> dict[str, str]:
    """A tree with one HelmRelease for each argument; `bp_grafana=["bp-loki"]` depends on bp-loki."""
    files = {f"{PATH}/kustomization.yaml": "resources: [kit, apps]\n"}
    for key, depends_on in needs.items():
        name = key.replace("_", "-")
        release = {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {
                "interval": "15m",
                "timeout": "15m",
                "targetNamespace": name.removeprefix("bp-"),
                "chartRef": {"kind": "OCIRepository", "name": name},
                "dependsOn": [{"name": other} for other in depends_on],
            },
        }
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name.removeprefix("bp-")}}
        files[f"{PATH}/kit/{name}.yaml"] = yaml.safe_dump_all([space, release])
        source = {"kind": "OCIRepository", "metadata": {"name": name}, "spec": {"ref": {"digest": f"sha256:{name}"}}}
        files[f"{PATH}/sources/{name}.yaml"] = yaml.safe_dump(source)
    return files


@pytest.fixture
async def home(sandbox: Sandbox) -> AsyncIterator[Home]:
    serving = Home()
    server = grpc.aio.server()
    service_pb2_grpc.add_AgentServiceServicer_to_server(serving, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sandbox.endpoint = f"127.0.0.1:{port}"
    yield serving
    await asyncio.to_thread(keeper.power_off, sandbox.folder)
    await server.stop(0)


@pytest.fixture
def manifests() -> Callable[..., dict[str, str]]:
    return _manifests


@pytest.fixture
def git(home: Home) -> Iterator[GitServer]:
    server = GitServer()
    home.tree.url = server.url
    yield server
    server.close()

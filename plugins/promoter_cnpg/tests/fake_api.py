"""A fake Kubernetes API with Clusters, and a fake operator, written from the documentation of both; nothing of them runs here.

The operator acts when it is told to, once for all Clusters, so that a test sees what stands between a wish and its fulfilment.
"""

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "right"
HEALTHY = "Cluster in healthy state"
Resource = dict[str, Any]


def cluster(name: str, primary: str) -> Resource:
    """A Cluster of a distributed topology, settled."""
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": name, "namespace": "shop", "resourceVersion": "1", "annotations": {}},
        "spec": {"instances": 1, "replica": {"primary": primary, "source": primary, "self": name}},
        "status": {
            "phase": HEALTHY,
            "readyInstances": 1,
            "currentPrimary": f"{name}-1",
            "timelineID": 1,
            "systemID": "7421",
        },
    }  # fmt: skip - two a line


@dataclass
class FakeApi:
    """Clusters by their names."""

    clusters: dict[str, Resource]
    patches: list[tuple[str, Resource]] = field(default_factory=list)
    before_patch: Callable[[Resource], None] | None = None
    """Called once, with the resource, before the next patch: somebody else who is quicker."""
    status: int = 0
    """What every request is answered with, for faults; 0: as it should be."""
    down: set[str] = field(default_factory=set)
    """Clusters whose region does not answer."""

    def answer(self, method: str, path: str, token: str, body: Resource) -> tuple[int, Resource]:
        """Status and object."""
        name = path.partition("?")[0].rpartition("/")[2]
        if self.status or name in self.down:
            return self.status or 503, {"message": "as it was told"}
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Unauthorized"}
        if (
            path.partition("?")[0] != f"/apis/postgresql.cnpg.io/v1/namespaces/shop/clusters/{name}"
            or name not in self.clusters
        ):
            return 404, {"message": f'clusters.postgresql.cnpg.io "{name}" not found'}
        found = self.clusters[name]
        if method == "PATCH":
            if (hurry := self.before_patch) is not None:
                self.before_patch = None
                hurry(found)
                self.touch(found)
            version = found["metadata"]["resourceVersion"]
            if body["metadata"].pop("resourceVersion", version) != version:
                return 409, {"message": "the object has been modified"}
            self.patches.append((name, body))
            merge(found, body)
            self.touch(found)
        return 200, json.loads(json.dumps(found))

    def touch(self, found: Resource) -> None:
        """The resource has another version."""
        found["metadata"]["resourceVersion"] = str(int(found["metadata"]["resourceVersion"]) + 1)

    def operate(self) -> None:
        """The operator acts upon everything that is wished."""
        for name, found in self.clusters.items():
            _act(name, found)
            self.touch(found)


def _act(name: str, found: Resource) -> None:
    replica, status = found["spec"]["replica"], found["status"]
    fenced = found["metadata"]["annotations"].get("cnpg.io/fencedInstances") == '["*"]'
    status["readyInstances"] = 0 if fenced else found["spec"]["instances"]
    before, now = status.get("was"), "primary" if replica["primary"] == name else "replica"
    if (before, now) == ("replica", "primary"):
        status["timelineID"] += 1
        status["lastPromotionToken"] = replica.get("promotionToken") or ""
        status.pop("demotionToken", None)
    if (before, now) == ("primary", "replica"):
        status["demotionToken"] = _token(found)
    status["was"], status["phase"] = now, HEALTHY


def _token(found: Resource) -> str:
    content = {
        "databaseSystemIdentifier": found["status"]["systemID"],
        "latestCheckpointTimelineID": str(found["status"]["timelineID"]),
        "latestCheckpointREDOLocation": "0/3000060",
        "timeOfLatestCheckpoint": found["metadata"]["resourceVersion"],
    }
    return base64.b64encode(json.dumps(content).encode()).decode()


def merge(target: Resource, patch: Resource) -> None:
    """A JSON merge patch (RFC 7386)."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


class Handler(BaseHTTPRequestHandler):
    """One request."""

    api: FakeApi

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        if self.command == "PATCH":
            assert self.headers["Content-Type"] == "application/merge-patch+json"
            assert "fieldManager=continuum" in self.path
        status, told = self.api.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
        raw = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_PATCH(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def serve(api: FakeApi) -> ThreadingHTTPServer:
    """Serve on a port of loopback until it is shut down."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Api", (Handler,), {"api": api}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server

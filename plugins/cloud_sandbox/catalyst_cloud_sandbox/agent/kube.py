"""`python -m catalyst_cloud_sandbox.agent.kube DIR`: the Kubernetes API of a simulated cluster, as far as a visitor reads it.

Nodes and HelmReleases, over TLS on port 6443, for whoever holds a token that the cluster minted. It is a process of its
own, which lives from the first token to the end of its agent: the agent itself does without the ssl module.
"""

import json
import os
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from . import description, grants, memory
from .description import Description, Node
from .identity import API
from .memory import Memory
from .releases import Condition, Release

PORT = 6443
PATIENCE = 10.0
"""Seconds for a request to arrive."""
VERSION = {"major": "1", "minor": "0", "gitVersion": "v1.0.0-simulated"}


def answer(memory: Memory, here: Description, path: str, token: str, now: float) -> tuple[int, Mapping[str, Any]]:
    """Status and object for a path, asked by whoever holds `token`."""
    if not grants.role_of(memory.grants, token, now):
        return 401, _status(401, "Unauthorized", "no such token (simulated)")
    parts = path.partition("?")[0].strip("/").split("/")
    match parts:
        case ["version"]:
            return 200, VERSION
        case ["api", "v1", "nodes"]:
            ready = {id for id, at in memory.joined.items() if at <= now}
            return 200, _list("v1", "Node", [_node(node, node.id in ready) for node in here.nodes])
        case ["apis", "helm.toolkit.fluxcd.io", "v2", "helmreleases"]:
            return 200, _releases(memory, "")
        case ["apis", "helm.toolkit.fluxcd.io", "v2", "namespaces", namespace, "helmreleases"]:
            return 200, _releases(memory, namespace)
    return 404, _status(404, "NotFound", f"a simulated cluster has no /{'/'.join(parts)}")


def _releases(memory: Memory, namespace: str) -> Mapping[str, Any]:
    found = [r for r in memory.releases.values() if namespace in ("", r.wish.namespace)]
    return _list("helm.toolkit.fluxcd.io/v2", "HelmRelease", [_release(r) for r in found])


def _list(version: str, kind: str, items: list[dict[str, Any]]) -> Mapping[str, Any]:
    whole = [{"apiVersion": version, "kind": kind} | item for item in items]
    return {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": whole}


def _node(node: Node, ready: bool) -> dict[str, Any]:
    state = {"type": "Ready", "status": "True" if ready else "False", "reason": "Simulated"}
    address = {"type": "InternalIP", "address": node.private_ip}
    return {
        "metadata": {"name": node.name, "labels": {"openova.io/pool": node.pool, "simulated": "true"}},
        "status": {"conditions": [state], "addresses": [address]},
    }


def _release(release: Release) -> dict[str, Any]:
    wish = release.wish
    return {
        "metadata": {
            "name": wish.name, "namespace": wish.namespace, "generation": release.generation,
            "resourceVersion": str(release.resource_version), "labels": {"simulated": "true"},
        },
        "status": {
            "observedGeneration": release.observed_generation,
            "conditions": [_condition(c) for c in release.conditions],
        },
    }  # fmt: skip


def _condition(c: Condition) -> dict[str, Any]:
    return {"type": c.type, "status": c.status, "reason": c.reason, "message": c.message}


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code,
    }  # fmt: skip


class _Visitor(BaseHTTPRequestHandler):
    """One request. Anything but reading is refused."""

    folder: Path
    timeout = PATIENCE

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        here = description.read(self.folder)
        if here is None:
            return
        status, body = answer(memory.load(self.folder / memory.FILE), here, self.path, token, time.time())
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("X-Catalyst-Simulated", "true")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a path may hold what a visitor typed by mistake."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor who hangs up, or does not speak TLS, is no news."""


def main(folder: Path) -> None:
    """Serve until the agent, which holds the other end of our standard input, is no more."""
    here = description.read(folder)
    if here is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / API)
    server = _Server((here.address, PORT), type("Visitor", (_Visitor,), {"folder": folder}))
    # The handshake happens in the visitor's own thread, so that one who is silent holds nobody up.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

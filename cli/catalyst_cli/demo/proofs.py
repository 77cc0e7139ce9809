"""Proofs from outside: our own DNS question, validated from the root, our own HTTP request, our own look at what is left."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import catalyst_cloud_sandbox
import httpx
from catalyst_sdk.resolver import Resolver

from catalyst_cli.api import Api
from catalyst_cli.dev.processes import pss_mib
from catalyst_cli.output import word

from .mesh import Mesh, words

HEARD_WITHIN = 60.0
"""Seconds in which an event must reach the gateway's stream."""
MOST_MIB = 600


@dataclass
class Proof:
    """What was seen."""

    sovereign: str = ""
    state: str = ""
    run_seconds: float = 0.0
    steps: int = 0
    components: int = 0
    dns: dict[str, Any] = field(default_factory=dict)
    http_status: int = 0
    events: int = 0
    ledger_balanced: bool = False
    lease: dict[str, Any] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    dev_start_seconds: float = 0.0
    pss_mib: float = 0.0
    gaps: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The object that is printed last."""
        shown = {key: value for key, value in vars(self).items() if key != "gaps"}
        return {**shown, "leftovers": len(self.leftovers)}


def prove_there(mesh: Mesh) -> Proof:
    """Look at the Sovereign from outside."""
    api = mesh.api
    one = api.get("/v1/sovereigns")["sovereigns"][0]
    run = api.get(f"/v1/{one['lastRun']}")
    host = f"console.{one['fqdn']}"
    proof = Proof(sovereign=one["name"].removeprefix("sovereigns/"), state=word(one["state"]))
    proof.run_seconds = _seconds(run)
    proof.steps = len(api.pages(f"/v1/{run['name']}/steps", "steps"))
    proof.components = _components(api, one["name"])
    answer = asyncio.run(_resolver(mesh).resolve(host))
    proof.dns = {"name": host, "address": next(iter(answer.records), ""), "dnssec": answer.secure}
    proof.http_status = _http(proof.dns["address"], one["consoleUrl"], host)
    proof.events, proof.gaps = _events(api, "catalyst.v1.continuum.lease.acquired")
    proof.lease = _lease(api, proof.sovereign)
    proof.ledger_balanced = _balanced(api)
    proof.dev_start_seconds = mesh.state["start_seconds"]
    proof.pss_mib = round(pss_mib([p.pid for p in mesh.processes()]), 1)
    return proof


def prove_gone(mesh: Mesh, proof: Proof) -> None:
    """Look for anything that is left over, ours and not what the destroyer reports."""
    api, left = mesh.api, proof.leftovers
    state = word(api.get(f"/v1/sovereigns/{proof.sovereign}")["state"])
    if state != "DESTROYED":
        left.append(f"the Sovereign is {state}")
    answer = asyncio.run(_resolver(mesh).resolve(proof.dns["name"]))
    if answer.records or answer.rcode != "NXDOMAIN":
        left.append(f"{proof.dns['name']} still answers {answer.rcode} {answer.records}")
    if _http(proof.dns["address"], f"http://{proof.dns['address']}", proof.dns["name"]):
        left.append(f"{proof.dns['address']} still answers HTTP")
    left += [f"{r['kind']} {r['name']}" for r in catalyst_cloud_sandbox.status(mesh.layout.sandbox)["resources"]]
    left += [f"agent {p.pid}" for p in mesh.processes() if "catalyst_cloud_sandbox.agent" in " ".join(words(p))]
    proof.events, proof.gaps = _events(api, "catalyst.v1.continuum.lease.lost")
    proof.ledger_balanced = proof.ledger_balanced and _balanced(api)


def faults(proof: Proof, *, kept: bool) -> list[str]:
    """What is not as it should be."""
    checks = {
        f"the Sovereign was {proof.state}": proof.state == "ACTIVE",
        f"no components: {proof.components}": proof.components > 0,
        f"DNS: {proof.dns}": bool(proof.dns.get("address")) and proof.dns.get("dnssec"),
        f"HTTP status {proof.http_status}": proof.http_status == 200,
        f"events {proof.events}, gaps {proof.gaps}": proof.events > 0 and not proof.gaps,
        "the ledger does not balance": proof.ledger_balanced,
        f"lease {proof.lease}": bool(proof.lease.get("holder")) and proof.lease.get("epoch", 0) >= 1,
        f"left over: {proof.leftovers}": not proof.leftovers,
    }
    return [what for what, fine in checks.items() if not fine and not (kept and what.startswith("left"))]


def _resolver(mesh: Mesh) -> Resolver:
    return Resolver.from_files(Path(mesh.state["dns_hints"]), Path(mesh.state["dns_trust_anchor"]))


def _http(address: str, url: str, host: str) -> int:
    """The status that `host` answers at `address`; 0 where nothing answers."""
    port = httpx.URL(url).port or 80
    try:
        return httpx.get(f"http://{address}:{port}/", headers={"Host": host}, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def _components(api: Api, sovereign: str) -> int:
    clusters = api.get(f"/v1/{sovereign}")["clusters"]
    rows = [row for c in clusters for row in api.pages(f"/v1/{c['name']}/components", "components")]
    return sum(word(row["state"]) == "READY" for row in rows)


def _lease(api: Api, name: str) -> dict[str, Any]:
    slot = api.get(f"/v1/namespaces/catalyst-system/continuums/{name}")
    return {"holder": slot["status"]["leaseHolder"], "epoch": int(slot["status"]["epoch"])}


def _balanced(api: Api) -> bool:
    operation = api.post("/v1/billing/ledger:prove")
    deadline = time.monotonic() + HEARD_WITHIN
    while not operation.get("done") and time.monotonic() < deadline:
        time.sleep(0.1)
        operation = api.get(f"/v1/{operation['name']}")
    return bool(operation.get("response", {}).get("proved"))


def _events(api: Api, until: str) -> tuple[int, list[str]]:
    """How many events the stream has, read from its start until `until` was met, and the gaps in their versions."""
    versions: dict[str, list[int]] = {}
    deadline = time.monotonic() + HEARD_WITHIN
    while time.monotonic() < deadline:
        versions, met = _heard(api, until)
        if met:
            gaps = [name for name, seen in versions.items() if not _gapless(seen)]
            return sum(map(len, versions.values())), gaps
    return sum(map(len, versions.values())), [f"{until} was not heard"]


def _heard(api: Api, until: str) -> tuple[dict[str, list[int]], bool]:
    """Versions by aggregate, of everything that the stream has now."""
    versions: dict[str, list[int]] = {}
    for _, subject, data in api.stream("/v1/stream", last="0", silence=2.0):
        versions.setdefault(data["aggregate"], []).append(int(data["version"]))
        if subject == until:
            return versions, True
    return versions, False


def _gapless(versions: list[int]) -> bool:
    return versions == list(range(versions[0], versions[0] + len(versions)))


def _seconds(run: dict[str, Any]) -> float:
    from datetime import datetime

    began, ended = datetime.fromisoformat(run["startTime"]), datetime.fromisoformat(run["endTime"])
    return round((ended - began).total_seconds(), 2)

"""ProvisioningStates: what goes on with each Sovereign, shown as an object of a cluster.

A projection and never the truth: whoever changes one changes nothing, and it is written over. It holds a run's end, not its
events, which would not fit into an object.

Invariants
  one way     within one run a phase only goes on; another run begins anew;
  no noise    an object is written when it says something new, and goes when its Sovereign's record does.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_kube import KINDS
from catalyst_kube.cluster import Cluster, ClusterError, Object
from catalyst_kube.conditions import conditions
from catalyst_kube.controller import Unacceptable
from catalyst_kube.daemons import WHERE, Own, moment, passed_on
from catalyst_mesh import get_logger

from .sovereigns import deployment_of

KIND = KINDS["ProvisioningState"]
PAUSE = 3.0
"""Seconds between two looks."""
PHASES = ("pending", "bootstrapping", "installing-control-plane", "registering-dns", "tls-issuing", "ready", "failed")
_BEGINS: Sequence[tuple[str, str]] = (
    ("InfraReady", "bootstrapping"),
    ("ControlPlaneReady", "installing-control-plane"),
    ("DNSReady", "registering-dns"),
    ("TLSReady", "tls-issuing"),
)
"""The phase in which each condition is still awaited, in their order."""
_MOVES = (pb.Sovereign.STATE_PROVISIONING, pb.Sovereign.STATE_UPDATING)
"""States in which agents tell of components, which is no change of the Sovereign's own."""
_State, _Component = pb.Sovereign.State, pb.Component.State
_COMPONENTS: Mapping[int, str] = {
    _Component.STATE_INSTALLING: "installing",
    _Component.STATE_INSTALLED: "installed",
    _Component.STATE_READY: "installed",
    _Component.STATE_DEGRADED: "degraded",
    _Component.STATE_FAILED: "failed",
}  # fmt: skip - a table
OURS = {"app.kubernetes.io/managed-by": "catalyst-provisioner"}


class States:
    """A worker under a lease; `namespace` is where the objects lie."""

    def __init__(
        self, ask: Own, sovereigns: Any, runs: Any, infrastructure: Any, cluster: Cluster, namespace: str
    ) -> None:
        self._ask = ask
        self._sovereigns = sovereigns
        self._runs = runs
        self._infrastructure = infrastructure
        self._cluster = cluster
        self._namespace = namespace
        self._shown: dict[str, int] = {}
        """Version of each Sovereign that was written last, by the name of its object."""
        self._log = get_logger("states")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What failed is tried again at the next look."""
        while not stop.is_set():
            try:
                await self.look()
            except (ClusterError, Unacceptable) as error:
                self._log.warning("states not shown", why=str(error))
            try:
                async with asyncio.timeout(PAUSE):
                    await stop.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Show every Sovereign as it is now, and take away what is shown of none. Raises ClusterError, Unacceptable."""
        there = {
            one["metadata"]["name"]: one
            for one in (await self._cluster.list(KIND, self._namespace))[0]
            if _is_ours(one)
        }
        held = {deployment_of(each): each for each in await self._all()}
        for name, one in held.items():
            if name not in there or self._shown.get(name) != one.version or one.state in _MOVES:
                await self._show(name, one, there.get(name))
                self._shown[name] = one.version
        for name in there.keys() - held.keys():
            await self._cluster.remove(KIND, self._namespace, name)
            self._shown.pop(name, None)

    async def _all(self) -> list[pb.Sovereign]:
        found: list[pb.Sovereign] = []
        request = rpc.ListSovereignsRequest(page_size=1000)
        while True:
            page = await self._ask(self._sovereigns.ListSovereigns, request)
            found += page.sovereigns
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def _show(self, name: str, one: pb.Sovereign, there: Object | None) -> None:
        run = await self._last_run(one)
        marks = {f"{WHERE}sovereign": one.name, **({f"{WHERE}run": run.name} if run else {})}
        spec = spec_of(name, one)
        before = there or {}
        if there is None or not _holds(there, spec, marks):
            metadata = {"labels": OURS, "annotations": marks}
            before = await self._cluster.apply(KIND, self._namespace, name, {"metadata": metadata, "spec": spec})
        status = status_of(one, run, await self._components(one), before, is_same_run=_is_of(there, run))
        stands = before.get("status", {})
        if any(stands.get(name) != value for name, value in status.items()):
            await self._cluster.apply_status(KIND, self._namespace, name, status)

    async def _last_run(self, one: pb.Sovereign) -> pb.Run | None:
        if not one.last_run:
            return None
        found: pb.Run | None = await self._ask.find(self._runs.GetRun, rpc.GetRunRequest(name=one.last_run))
        return found

    async def _components(self, one: pb.Sovereign) -> dict[str, str]:
        request = rpc.ListComponentsRequest(parent=f"{one.name}/clusters/-", page_size=1000)
        page = await self._ask.find(self._infrastructure.ListComponents, request)
        found = page.components if page else ()
        return {each.name.rpartition("/")[2]: _COMPONENTS.get(each.state, "pending") for each in found}


def spec_of(name: str, one: pb.Sovereign) -> dict[str, Any]:
    """What is being made; no secret, and no e-mail address but that of the first administrator."""
    wish, clusters = one.spec, one.spec.clusters
    first = clusters[0] if clusters else pb.Cluster()
    pool = first.worker_pools[0] if first.worker_pools else pb.WorkerPool()
    return {
        "deploymentID": name,
        "orgName": wish.organization.display_name or wish.organization.slug,
        "orgEmail": wish.organization.admin_email,
        "sovereignFQDN": one.fqdn,
        **({"sovereignDomainMode": wish.domain.mode} if wish.domain.mode else {}),
        "sovereignPoolDomain": wish.domain.pool,
        "sovereignSubdomain": wish.domain.label,
        "region": first.region,
        "controlPlaneSize": first.control_plane.size,
        "workerSize": pool.size,
        "workerCount": min(sum(each.count for each in first.worker_pools), 100),
        "haEnabled": first.control_plane.count > 1,
        "regions": [_region(each) for each in clusters][:16],
        **({"parentDomains": [{"name": wish.domain.pool, "role": "primary"}]} if wish.domain.pool else {}),
    }  # fmt: skip - a document


def _region(cluster: pb.Cluster) -> dict[str, Any]:
    pools = cluster.worker_pools
    return {
        "provider": cluster.provider,
        "cloudRegion": cluster.region,
        "controlPlaneSize": cluster.control_plane.size,
        "workerSize": pools[0].size if pools else "",
        "workerCount": min(sum(each.count for each in pools), 100),
    }


def phase_of(one: pb.Sovereign) -> str:
    """How far a Sovereign is. States that nobody here knows read as pending."""
    if one.state in (_State.STATE_ACTIVE, _State.STATE_UPDATING, _State.STATE_DESTROYING):
        return "ready"
    if one.state in (_State.STATE_FAILED, _State.STATE_DESTROYED):
        return "failed"
    if one.state != _State.STATE_PROVISIONING:
        return "pending"
    holds = {each.type for each in one.conditions if each.status == 1}
    return next((phase for awaited, phase in _BEGINS if awaited not in holds), "tls-issuing")


def onward(before: str, now: str) -> str:
    """The phase to tell within one run: never one that was left."""
    return max(before, now, key=PHASES.index) if before in PHASES and before != "failed" else now


def status_of(
    one: pb.Sovereign, run: pb.Run | None, components: Mapping[str, str], there: Object, *, is_same_run: bool
) -> dict[str, Any]:
    """What of it is there."""
    known: Mapping[str, Any] = there.get("status", {})
    generation = there["metadata"].get("generation", 1)
    now = one.update_time.ToDatetime(UTC)
    phase = onward(str(known.get("phase", "")) if is_same_run else "", phase_of(one))
    addresses = [address for cluster in one.clusters for address in cluster.addresses]
    told = conditions(passed_on(one.conditions)[:32], known.get("conditions", ()), generation, now)
    status = {
        "phase": phase,
        "startedAt": moment(run.start_time) if run and run.HasField("start_time") else None,
        "lastTransitionAt": known.get("lastTransitionAt") if known.get("phase") == phase else _text(now),
        "finishedAt": moment(run.end_time) if run and run.HasField("end_time") else None,
        "failureReason": run.error.message[:8192] if run and phase == "failed" else "",
        "loadBalancerIP": addresses[0][:45] if addresses else "",
        "componentStates": dict(components),
        "observedGeneration": generation,
        "conditions": told,
    }  # fmt: skip - a document
    return {name: value for name, value in status.items() if value not in (None, "")}


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_ours(one: Object) -> bool:
    labels: Mapping[str, str] = one["metadata"].get("labels", {})
    return OURS.items() <= labels.items()


def _is_of(there: Object | None, run: pb.Run | None) -> bool:
    """Whether what stands was told of this run."""
    marks: Mapping[str, str] = there["metadata"].get("annotations", {}) if there else {}
    return marks.get(f"{WHERE}run", "") == (run.name if run else "")


def _holds(there: Object, spec: Mapping[str, Any], marks: Mapping[str, str]) -> bool:
    stands: Mapping[str, Any] = there.get("spec", {})
    there_marks: Mapping[str, str] = there["metadata"].get("annotations", {})
    same = all(stands.get(key, type(value)()) == value for key, value in spec.items())
    return same and marks.items() <= there_marks.items()

"""The provisioner as this daemon sees it: clusters on which Applications may run, and what runs there."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import grpc
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1.service_pb2_grpc import SovereignServiceStub, WorkloadServiceStub
from catalyst_mesh import explain
from catalyst_sdk import Code, Refused

from .domain.environments import Host
from .domain.placing import Candidate
from .domain.running import Mode
from .domain.sights import Sight, Stand

T = TypeVar("T")
LIMIT = 10.0
"""Seconds for an answer."""
MODES = {Mode.RUN: pb.Workload.MODE_RUN, Mode.LEAVE: pb.Workload.MODE_LEAVE, Mode.STOP: pb.Workload.MODE_STOP}
STANDS = {
    "STATE_UNKNOWN": Stand.UNKNOWN,
    "STATE_PENDING": Stand.PENDING,
    "STATE_BLOCKED": Stand.PENDING,
    "STATE_INSTALLING": Stand.INSTALLING,
    "STATE_INSTALLED": Stand.INSTALLING,
    "STATE_READY": Stand.READY,
    "STATE_DEGRADED": Stand.DEGRADED,
    "STATE_FAILED": Stand.FAILED,
}
GONE = (pb.Sovereign.STATE_DESTROYING, pb.Sovereign.STATE_DESTROYED)


class ProvisionerUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "PROVISIONER_UNAVAILABLE", "the provisioner does not answer: {why}"


class ClusterGone(Refused):
    code, reason, message = Code.NOT_FOUND, "CLUSTER_GONE", "{cluster} is no more"


@dataclass(frozen=True, slots=True)
class Wish:
    """One Application that is to stand on a cluster."""

    application: str
    uid: str
    url: str
    branch: str
    commit: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class Answer:
    """What a cluster shows, by Application."""

    seen: dict[str, tuple[str, Sight]]
    """Life of the Application, and how it stands."""
    is_current: bool
    """Whether it has heard the list: what is not shown then is gone."""


class Clusters:
    """What can be asked."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._sovereigns = SovereignServiceStub(channel)
        self._workloads = WorkloadServiceStub(channel)

    async def of(self, org: str) -> list[Candidate]:
        """Clusters of an Organization's own Sovereigns. Raises ProvisionerUnavailable."""
        found: list[Candidate] = []
        token = ""
        while True:
            request = rpc.ListSovereignsRequest(
                filter=f"spec.organization.slug = {org}", page_size=100, page_token=token
            )
            answer = await _asked(self._sovereigns.ListSovereigns(request, timeout=LIMIT))
            for sovereign in answer.sovereigns:
                found += _candidates(sovereign, org)
            token = answer.next_page_token
            if not token:
                return found

    async def sync(self, host: Host, wishes: Sequence[Wish], *, fence: int, password: str, now: datetime) -> Answer:
        """Say what is to stand there, and hear what does. Raises ClusterGone, ProvisionerUnavailable."""
        request = rpc.SyncWorkloadsRequest(
            cluster=host.cluster,
            sovereign_uid=host.sovereign_uid,
            fence=fence,
            workloads=map(_workload, wishes),
            username=host.cluster,
            password=password,
        )
        try:
            answer = await self._workloads.SyncWorkloads(request, timeout=LIMIT)
        except grpc.aio.AioRpcError as error:
            said = explain(error)
            if said.reason == "CLUSTER_NOT_FOUND":
                raise ClusterGone(cluster=host.cluster) from error
            raise ProvisionerUnavailable(why=said.message or said.code) from error
        seen = {one.application: (one.uid, _sight(host, answer, one, now)) for one in answer.workloads}
        return Answer(seen, answer.current and not answer.silent)


def _candidates(sovereign: pb.Sovereign, org: str) -> list[Candidate]:
    if sovereign.spec.organization.slug != org or not sovereign.HasField("activate_time") or sovereign.state in GONE:
        return []
    return [
        Candidate(
            Host(one.name, sovereign.uid),
            one.provider,
            one.region,
            frozenset({one.building_block, *_hosts(sovereign, one)}),
            one.env_type,
        )
        for one in sovereign.clusters
    ]


def _hosts(sovereign: pb.Sovereign, one: pb.ClusterStatus) -> Sequence[str]:
    """Building blocks beside the one that names it."""
    mine = (one.provider, one.region, one.building_block)
    wished = (c for c in sovereign.spec.clusters if (c.provider, c.region, c.building_block) == mine)
    return next((tuple(c.hosts) for c in wished), ())


def _workload(wish: Wish) -> pb.Workload:
    return pb.Workload(
        application=wish.application, uid=wish.uid, url=wish.url, branch=wish.branch, commit=wish.commit,
        mode=MODES[wish.mode],
    )  # fmt: skip


def _sight(host: Host, answer: rpc.SyncWorkloadsResponse, one: pb.WorkloadStatus, now: datetime) -> Sight:
    state, message = STANDS[pb.Component.State.Name(one.state)], one.message
    if state is Stand.UNKNOWN:
        message = "its cluster was never heard of"
        if answer.HasField("heartbeat_time"):
            message = f"its cluster was last heard of at {answer.heartbeat_time.ToDatetime(UTC):%FT%TZ}"
    return Sight(host.cluster, state, message, one.commit, now, one.version, answer.simulated)


async def _asked(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        said = explain(error)
        raise ProvisionerUnavailable(why=said.message or said.code) from error

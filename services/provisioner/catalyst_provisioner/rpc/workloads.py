"""WorkloadService: what Organizations run on the clusters of Sovereigns, wished and seen in one call."""

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Sealer, Work, stamp
from google.protobuf.json_format import MessageToDict

from ..domain import workloads
from ..domain.conditions import is_silent
from ..domain.sovereign import State
from ..store import ClusterRow, Store, WorkloadList, WorkloadRow
from .names import ClusterNotFound, Name

SUPERSEDED, NOT_SUPPORTED = "superseded", "not_supported"


class WorkloadService(service_pb2_grpc.WorkloadServiceServicer):
    """The daemon of Environments asks; agents act and tell."""

    def __init__(self, work: Work[Store], sealer: Sealer) -> None:
        self._work = work
        self._sealer = sealer

    async def SyncWorkloads(
        self, request: service_pb2.SyncWorkloadsRequest, context: Context
    ) -> service_pb2.SyncWorkloadsResponse:
        answer = await self._answer(request)
        if answer is not None:
            return answer
        await self._work.again(lambda tx: self._wish(tx, request))
        told = await self._answer(request)
        assert told is not None, "it was just written"
        return told

    async def _answer(self, request: service_pb2.SyncWorkloadsRequest) -> service_pb2.SyncWorkloadsResponse | None:
        """What is known, where nothing has to be written for this request."""
        async with self._work.reading() as tx:
            cluster, simulated = await _meant(tx, request)
            kept = await tx.workload_list(cluster.sovereign, cluster.name)
            rows, now = await tx.workloads(cluster.sovereign, cluster.name), tx.now
            code = await tx.command_code(cluster.sovereign, cluster.name, kept.command) if kept else ""
        if kept is None or self._differs(request, cluster, kept):
            return None
        is_able = code != NOT_SUPPORTED  # else nothing is there, and nothing will be
        silent = cluster.heartbeat_at is None or is_silent(cluster.heartbeat_at, now)
        return service_pb2.SyncWorkloadsResponse(
            workloads=_shown(request.workloads, rows, silent=silent) if is_able else _unable(request.workloads),
            current=kept.told >= kept.command or not is_able,
            silent=silent,
            heartbeat_time=stamp(cluster.heartbeat_at),
            simulated=simulated,
        )

    def _differs(self, request: service_pb2.SyncWorkloadsRequest, cluster: ClusterRow, kept: WorkloadList) -> bool:
        if request.fence < kept.fence:
            raise workloads.Fenced(cluster=request.cluster, fence=str(request.fence))
        # Growth of the fence alone is written too: from then on the former holder is refused.
        return (
            request.fence > kept.fence
            or workloads.have_changed(kept.wished, _plain(request.workloads))
            or not self._knows(cluster, request.password)
        )

    def _knows(self, cluster: ClusterRow, password: str) -> bool:
        sealed = cluster.git_password
        held = self._sealer.open(sealed, cluster.place("git_password")) if sealed else b""
        return hmac.compare_digest(held, password.encode())

    async def _wish(self, tx: Store, request: service_pb2.SyncWorkloadsRequest) -> None:
        name = Name.of(request.cluster)
        await tx.lock(name.sovereign)
        cluster, _ = await _meant(tx, request)
        kept = await tx.workload_list(name.sovereign, name.id) or WorkloadList(0, 0, 0, ())
        if not self._differs(request, cluster, kept):
            return
        wished = _plain(request.workloads)
        after = replace(kept, fence=request.fence, wished=wished)
        if workloads.have_changed(kept.wished, wished) or not self._knows(cluster, request.password):
            sealed = self._sealer.seal(request.password.encode(), cluster.place("git_password"))
            await tx.change_cluster(name.sovereign, name.id, git_password=sealed)
            if kept.command:  # the agent needs to hear of the last one only
                why = "a later list has taken its place"
                await tx.command_done(name.sovereign, name.id, kept.command, code=SUPERSEDED, message=why)
            command = pb.AgentCommand(
                workloads=pb.AgentCommand.Workloads(workloads=request.workloads, username=request.username)
            )
            number = await tx.command(name.sovereign, name.id, command.SerializeToString())
            after = replace(after, command=number)
        await tx.keep_workload_list(name.sovereign, name.id, after)


async def _meant(tx: Store, request: service_pb2.SyncWorkloadsRequest) -> tuple[ClusterRow, bool]:
    """The cluster, and whether it is a simulated one. Raises ClusterNotFound."""
    name = Name.of(request.cluster)
    held, cluster = await tx.sovereign(name.sovereign), await tx.cluster(name.sovereign, name.id)
    if held is None or cluster is None or held.uid != request.sovereign_uid or held.state is State.DESTROYED:
        raise ClusterNotFound(name=request.cluster)
    return cluster, held.simulated


def _shown(wished: Sequence[pb.Workload], rows: Sequence[WorkloadRow], *, silent: bool) -> list[pb.WorkloadStatus]:
    lives, seen = {one.application: one.uid for one in wished}, {row.application: row for row in rows}
    return [_status(name, lives.get(name, ""), seen.get(name), silent=silent) for name in sorted(lives | seen)]


def _unable(wished: Sequence[pb.Workload]) -> list[pb.WorkloadStatus]:
    """Of a cluster whose agent knows no such list."""
    pending, why = pb.Component.STATE_PENDING, "the agent of this cluster runs no Applications of Organizations"
    return [pb.WorkloadStatus(application=one.application, state=pending, message=why) for one in wished]


def _status(application: str, uid: str, row: WorkloadRow | None, *, silent: bool) -> pb.WorkloadStatus:
    verdict = workloads.stands(
        row.seen if row else None, uid, was_ready=row is not None and row.was_ready, is_silent=silent
    )
    release = row.seen.release if row else None
    return pb.WorkloadStatus(
        application=application,
        uid=row.seen.uid if row else "",
        commit=row.seen.commit if row else "",
        state=pb.Component.State.Value(f"STATE_{verdict.state.upper()}"),
        message=verdict.message,
        version=release.version if release else "",
        observe_time=stamp(row.observed_at) if row else None,
    )


def _plain(wished: Sequence[pb.Workload]) -> list[dict[str, Any]]:
    found = [MessageToDict(one, preserving_proto_field_name=True) for one in wished]
    return sorted(found, key=lambda one: str(one["application"]))

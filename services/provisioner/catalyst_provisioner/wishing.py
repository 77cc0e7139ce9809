"""Wishes in open transactions: which components a cluster is to have, and a look at those that it may have already."""

from catalyst.provisioner.v1.resources_pb2 import AgentCommand

from .domain.locks import Lock
from .store import Store


async def components(tx: Store, sovereign: str, cluster: str, lock: Lock) -> None:
    """Make the wished components of a cluster those of `lock`.

    Agents tell what changes. A component that was not wished for a while may stand there unchanged, so a cluster that lives
    is asked to tell all of it once more.
    """
    added = await tx.wish_components(sovereign, cluster, lock)
    known = await tx.cluster(sovereign, cluster)
    if added and known is not None and known.heartbeat_at:
        look = AgentCommand.Reconcile(action=AgentCommand.Reconcile.ACTION_RECONCILE)
        await tx.command(sovereign, cluster, AgentCommand(reconcile=look).SerializeToString())

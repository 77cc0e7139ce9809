"""What a cluster that stays is told once a run does not go on that had begun to take it away, or to empty its nodes.

Invariants
  no late order   what the run had ordered and nobody has done is withdrawn: an agent that comes back later obeys none of it;
  as it was       reconciliation goes on, what was let go of is made again as far as charts make it, and nodes take pods again;
  not ours        a node that somebody else had closed before the run stays closed.
"""

from collections.abc import Sequence
from datetime import datetime

from catalyst.provisioner.v1.resources_pb2 import AgentCommand
from sqlalchemy import select

from .store import Given, Store, metadata

RUNS = metadata.tables["journal_run"]
CLOSED = "closed."
"""With the names of a cluster and a node: fact of a Sovereign, the run that found the node closed already."""
Drain, Reconcile = AgentCommand.Drain, AgentCommand.Reconcile
GOING_ON = (Reconcile.ACTION_RESUME, Reconcile.ACTION_RESET)
"""Orders after a cluster was quiet: reconcile again, and install once more what lacks parts."""
CLOSING = (Drain.SCOPE_NODE, Drain.SCOPE_CORDON)
LEAVING = (*CLOSING, Drain.SCOPE_AUTOSCALERS, Drain.SCOPE_CLOUD_RESOURCES)


async def instead_of(tx: Store, sovereign: str, run: str) -> None:
    """Another run begins in place of `run`, which has failed and can go on no more; one that was cancelled is dealt with."""
    query = select(RUNS.c.created_at, RUNS.c.state).where(RUNS.c.id == run)
    found = (await tx.sql.execute(query)).one_or_none()
    if found is not None and found.state in ("failed", "stuck"):
        await after(tx, sovereign, run, found.created_at)


async def after(tx: Store, sovereign: str, run: str, since: datetime) -> None:
    """Take back what the Sovereign's newest run, which began at that moment, had its clusters do."""
    closed = {fact for fact, (by, _) in (await tx.facts(sovereign)).items() if fact.startswith(CLOSED) and by == run}
    for row in await tx.clusters(sovereign):
        since_then = await tx.commands_since(sovereign, row.name, since)
        given = [one for one in since_then if _is_leaving(_read(one))]
        for one in since_then:
            if one.is_open and (one in given or _read(one).HasField("reboot")):
                await tx.withdraw(sovereign, row.name, one.number)
        if row.heartbeat_at is None:
            continue  # nobody lives there who could have heard of it
        for command in _back([_read(one) for one in given]):
            if f"{CLOSED}{row.name}/{command.drain.node}" not in closed:
                await tx.command(sovereign, row.name, command.SerializeToString())
    if closed:  # without a name everything would be taken back
        await tx.unobserve(sovereign, *closed)


def _back(given: Sequence[AgentCommand]) -> list[AgentCommand]:
    """Orders that undo these."""
    nodes = dict.fromkeys(one.drain.node for one in given if one.drain.scope in CLOSING)
    found = [AgentCommand(drain=Drain(scope=Drain.SCOPE_UNCORDON, node=node)) for node in nodes]
    if any(one.drain.scope not in CLOSING for one in given):
        found += [AgentCommand(reconcile=Reconcile(action=action)) for action in GOING_ON]
    return found


def _is_leaving(command: AgentCommand) -> bool:
    if command.WhichOneof("command") == "reconcile":
        return command.reconcile.action == Reconcile.ACTION_SUSPEND
    return command.drain.scope in LEAVING


def _read(given: Given) -> AgentCommand:
    return AgentCommand.FromString(given.body)

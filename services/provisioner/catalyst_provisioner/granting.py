"""What becomes of grants in open transactions: by an agent's word, by the end of a cluster, by nobody's fetching."""

from datetime import UTC

from catalyst.provisioner.v1.resources_pb2 import AgentCommand, AgentCommandResult
from catalyst_mesh import Sealer, sealed_at

from .domain import facts, grants
from .domain.grants import Grant
from .domain.sovereign import Sovereign
from .store import Store, tables


async def ask(tx: Store, grant: Grant, *, revoke: bool = False) -> int:
    """Put the command about a grant down for its cluster's agent; its number."""
    command = AgentCommand(mint_token=AgentCommand.MintToken(grant=grant.name, role=grant.role, revoke=revoke))
    if not revoke:
        command.mint_token.ttl.FromMilliseconds(int(grant.ttl * 1000))
        command.expire_time.FromDatetime(tx.now + grants.HURRY)
    return await tx.command(grant.sovereign, grant.cluster, command.SerializeToString())


async def told(tx: Store, held: Sovereign, cluster: str, said: AgentCommandResult, sealer: Sealer) -> Sovereign:
    """An agent has done a command; the Sovereign after what that means for a grant, if it was about one."""
    grant = await tx.grant_of(held.id, cluster, said.command)
    if grant is None:
        return held
    if grant.state == grants.REVOKING:
        return await _changed(tx, held, grants.ended(grant, tx.now).state)
    if said.code or not said.token:
        await tx.keep_grant(grants.refused(grant, said.message or said.code))
        return held
    ends = said.token_expire_time.ToDatetime(UTC) if said.HasField("token_expire_time") else grant.expires_at
    sealed = sealer.seal(said.token.encode(), sealed_at(tables.grants.c.token, grant.id))
    decided = grants.minted(grant, token=sealed, ca_bundle=said.ca_bundle_pem, expires_at=min(ends, grant.expires_at))
    return await _changed(tx, held, decided.state) if decided.events else held


async def end_all(tx: Store, held: Sovereign, cluster: str = "") -> Sovereign:
    """Nothing can be reached with them any more; an empty cluster: those of all."""
    for grant in await tx.grants_to_end(held.id, cluster):
        held = await _changed(tx, held, grants.ended(grant, tx.now).state)
    return held


async def _changed(tx: Store, held: Sovereign, grant: Grant) -> Sovereign:
    await tx.keep_grant(grant)
    if grant.state not in (grants.ACTIVE, grants.REVOKED):
        return held
    fact = facts.AccessGranted if grant.state == grants.ACTIVE else facts.AccessRevoked
    after = held.told(tx.now)
    tx.emit(fact(after, grant))
    return after

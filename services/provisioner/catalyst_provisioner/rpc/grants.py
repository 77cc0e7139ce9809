"""AccessService: the agent mints, the caller gets it once, and all of it is on record."""

import asyncio
import hashlib
import json
import secrets
import time
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Sealer, Work, caller, sealed_at, stamp
from catalyst_sdk import Decision

from .. import granting
from ..domain import grants, sovereigns
from ..domain.conditions import is_silent
from ..domain.grants import AgentUnreachable, ClusterRequired, Grant, GrantNotFound
from ..domain.sovereign import Sovereign
from ..domain.sovereigns import EtagMismatch
from ..store import ClusterRow, Store, tables
from . import filters
from .names import ClusterNotFound, Name, locked, visible

ISSUERS = ("sovereign-admin", "security-officer")
LOOK = 0.1
"""Seconds between two looks for the agent's word, which another replica may have taken."""
PATIENCE = 20.0
"""Seconds in which an agent that reports has minted."""


class AccessService(service_pb2_grpc.AccessServiceServicer):
    """Short-lived access of persons to clusters."""

    def __init__(self, work: Work[Store], sealer: Sealer) -> None:
        self._work = work
        self._sealer = sealer

    async def IssueKubeconfig(
        self, request: service_pb2.IssueKubeconfigRequest, context: Context
    ) -> service_pb2.IssueKubeconfigResponse:
        key = _key(request, caller(context).subject)
        asked = await self._work.again(lambda tx: self._asked(tx, request, key, caller(context).subject))
        await self._answered(asked)

        async def step(tx: Store) -> Decision[tuple[Grant, str]]:
            held = await locked(tx, asked.sovereign, request.name)
            grant, cluster = await tx.grant_asked(key), await tx.cluster(held.id, asked.cluster)
            if grant is None or cluster is None:
                raise ClusterNotFound(name=f"{held.name}/clusters/{asked.cluster}")
            after = grants.handed_out(grant)
            await tx.keep_grant(after)
            there = sealed_at(tables.grants.c.token, grant.id)
            token = self._sealer.open(grant.token, there).decode() if grant.token else ""
            file = grants.kubeconfig(grant, token=token, server=_server(held, cluster))
            return Decision((after, json.dumps(file, indent=2) + "\n"))

        return await self._work.run(
            step, answer=lambda made: service_pb2.IssueKubeconfigResponse(
                grant=_shown(made[0], made[0].created_at), kubeconfig=made[1]
            )
        )  # fmt: skip

    async def ListGrants(
        self, request: service_pb2.ListGrantsRequest, context: Context
    ) -> service_pb2.ListGrantsResponse:
        wanted = filters.grants(request.filter)
        page = Page.of(request.page_size, request.page_token, request.parent, request.filter)
        async with self._work.reading() as tx:
            held = await visible(tx, Name.of(request.parent).sovereign, request.parent)
            rows = await tx.grants_before(held.id, page.after or "", page.size + 1, **wanted)
            now = tx.now
        cut = page.cut(rows, lambda row: row.id)
        return service_pb2.ListGrantsResponse(
            grants=[_shown(row, now) for row in cut.rows], next_page_token=cut.next_page_token
        )

    async def RevokeGrant(self, request: service_pb2.RevokeGrantRequest, context: Context) -> resources_pb2.Grant:
        name, who = Name.of(request.name), caller(context)

        async def step(tx: Store) -> Decision[tuple[Grant, datetime]]:
            await visible(tx, name.sovereign, request.name)
            held = await locked(tx, name.sovereign, request.name)
            grant = await tx.grant(held.id, name.id)
            if grant is None or not (grant.grantee == who.subject or who.has_role(*ISSUERS)):
                raise GrantNotFound(name=request.name)
            if request.etag not in ("", grant.etag):
                raise EtagMismatch(name=grant.name, etag=grant.etag)
            after = grants.revoke(grant, by=who.subject, why=request.reason, now=tx.now)
            if after != grant:
                after = replace(after, command=await granting.ask(tx, after, revoke=True))
                await tx.keep_grant(after)
            return Decision((after, tx.now))

        return await self._work.run(step, answer=lambda made: _shown(*made))

    async def _asked(self, tx: Store, request: service_pb2.IssueKubeconfigRequest, key: str, subject: str) -> Grant:
        """The grant, asked for once under one request id."""
        held = await locked(tx, Name.of(request.name).sovereign, request.name)
        if known := await tx.grant_asked(key):
            return known
        sovereigns.demand_active(held)
        cluster = _one(held, await tx.clusters(held.id), request.cluster)
        if cluster.heartbeat_at is None or is_silent(cluster.heartbeat_at, tx.now):
            heard = f"it was last heard of at {cluster.heartbeat_at:%FT%TZ}" if cluster.heartbeat_at else "it never did"
            raise AgentUnreachable(cluster=cluster.resource, why=heard)
        ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else grants.DEFAULT_TTL
        id = f"grant-{int(tx.now.timestamp() * 1000):012x}{secrets.token_hex(4)}"
        made = Grant(
            id, held.id, str(uuid4()), key, cluster.name, request.role or grants.VIEW, subject, request.reason,
            grants.ASKED, ttl.total_seconds(), tx.now, tx.now + ttl, 0,
        )  # fmt: skip
        made = replace(made, command=await granting.ask(tx, made))
        await tx.keep_grant(made, fresh=True)
        return made

    async def _answered(self, asked: Grant) -> None:
        """Wait for the agent's word. Raises AgentUnreachable."""
        ends = time.monotonic() + PATIENCE
        while True:
            async with self._work.reading() as tx:
                now = await tx.grant_asked(asked.key)
            if now is None or now.state != grants.ASKED:
                return
            if time.monotonic() > ends:
                raise AgentUnreachable(cluster=f"sovereigns/{asked.sovereign}/clusters/{asked.cluster}",
                                       why="it was asked and is silent")  # fmt: skip
            await asyncio.sleep(LOOK)


def _one(held: Sovereign, rows: list[ClusterRow], wanted: str) -> ClusterRow:
    if not wanted and len(rows) > 1:
        raise ClusterRequired(sovereign=held.name, count=str(len(rows)))
    found = next((row for row in rows if wanted in ("", row.name)), None)
    if found is None:
        raise ClusterNotFound(name=f"{held.name}/clusters/{wanted or '-'}")
    return found


def _key(request: service_pb2.IssueKubeconfigRequest, subject: str) -> str:
    """The same for a repeated call; without a request id each call is a wish of its own."""
    if not request.request_id:
        return str(uuid4())
    return hashlib.sha256(subject.encode() + b"\0" + request.SerializeToString(deterministic=True)).hexdigest()


def _server(held: Sovereign, cluster: ClusterRow) -> str:
    """Where the API answers; where the cloud has not said, by the name that its certificate has."""
    told = (cluster.made or {}).get("api_endpoint")
    return str(told or f"https://api.{cluster.spec['location_code']}.{held.fqdn}:6443")


def _shown(grant: Grant, now: datetime) -> resources_pb2.Grant:
    return resources_pb2.Grant(
        name=grant.name, uid=grant.uid, etag=grant.etag, cluster=grant.cluster,
        state=resources_pb2.Grant.State.Value(f"STATE_{grant.state_at(now).upper()}"), role=grant.role,
        grantee=grant.grantee, reason=grant.reason, create_time=stamp(grant.created_at),
        expire_time=stamp(grant.expires_at), revoke_time=stamp(grant.revoked_at),
        revoked_by=grant.revoked_by if grant.state == grants.REVOKED else "",
    )  # fmt: skip

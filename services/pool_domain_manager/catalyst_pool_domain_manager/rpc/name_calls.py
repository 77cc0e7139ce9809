"""AllocationService: what all its calls share. Each stores a wish and answers at once; the reconciler makes the world match."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from catalyst.pooldomain.v1 import service_pb2_grpc
from catalyst_mesh import Work, current
from catalyst_mesh.journal.bells import Bells
from catalyst_sdk import Decision, PluginFailure
from catalyst_sdk.dns import Capability
from google.protobuf.message import Message

from catalyst_pool_domain_manager.domain import refusals
from catalyst_pool_domain_manager.domain.allocations import FORCE_GRACE, Allocation, Fact
from catalyst_pool_domain_manager.domain.pools import Pool, PoolNotFound
from catalyst_pool_domain_manager.events import SUBJECTS
from catalyst_pool_domain_manager.store import Store

from .limits import Limits
from .messages import etag

Answer = TypeVar("Answer", bound=Message)
Resolves = Callable[[Pool, str], Awaitable[bool | None]]
"""`(pool, fqdn)`: whether the world has an address for a name; None: nobody answered."""
AbilitiesOf = Callable[[str], Awaitable[frozenset[Capability]]]
"""What the server behind a backend's plugin can do."""


class NameCalls(service_pb2_grpc.AllocationServiceServicer):
    """What the calls of the service are made with."""

    def __init__(
        self,
        work: Work[Store],
        token_key: bytes,
        limits: Limits,
        resolves: Resolves,
        abilities: AbilitiesOf,
        bells: Bells | None = None,
        grace: timedelta = FORCE_GRACE,
    ) -> None:
        """`bells` are rung by the reconciler for each name that comes to where it is to stay; `grace` has to be over before
        a name is taken from who holds it."""
        self._work = work
        self._bells = bells or Bells()
        self._key = token_key
        self._limits = limits
        self._resolves = resolves
        self._abilities = abilities
        self._grace = grace

    async def _wish(
        self,
        decide: Callable[[Store], Awaitable[Decision[Allocation]]],
        answer: Callable[[Allocation], Answer],
        *,
        validate_only: bool = False,
    ) -> Answer:
        """Decide and store, with the name's history; `validate_only` decides on what is there and stores nothing."""
        if validate_only:
            return await self._work.rehearse(decide, answer=answer)

        async def step(tx: Store) -> Decision[Allocation]:
            decision = await decide(tx)
            await remember(tx, decision.events)
            return decision

        return await self._work.run(step, answer=answer)

    async def _can(self, domain: str) -> frozenset[Capability]:
        """What the backend of a pool can do. Raises BackendUnavailable, PoolNotFound."""
        async with self._work.reading() as tx:
            pool = await pool_of(tx, domain)
        try:
            return await self._abilities(pool.backend)
        except PluginFailure as failure:
            raise refusals.BackendUnavailable(backend=pool.backend, why=failure.message) from failure


async def remember(tx: Store, facts: tuple[object, ...]) -> None:
    """Keep what happened in the name's history too."""
    for fact in facts:
        if isinstance(fact, Fact):
            await tx.remember(fact.allocation, SUBJECTS[type(fact)], fact.actor, request_id=current().request_id)


async def pool_of(tx: Store, domain: str, *, stays: bool = False) -> Pool:
    pool = await tx.pool(domain, stays=stays)
    if pool is None:
        raise PoolNotFound(pool=f"pools/{domain}")
    return pool


async def within_names(tx: Store, pool: Pool, owner: str) -> None:
    await tx.alone("quota", owner)
    _, named = await tx.held_by(owner, (0, pool.policy.most_names))
    if named >= pool.policy.most_names:
        raise refusals.QuotaExceeded(owner=owner, used=named, what="names", limit=pool.policy.most_names)


def given_token(token: str, name: str) -> str:
    if not token:
        raise refusals.TokenMissing(name=name)
    return digest(token)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def fresh(a: Allocation, given: str) -> None:
    if given and given != etag(a.version):
        raise refusals.EtagMismatch(name=a.name)

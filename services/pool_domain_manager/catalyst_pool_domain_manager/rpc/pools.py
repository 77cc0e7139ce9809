"""PoolService."""

import re
from collections.abc import Iterator
from dataclasses import replace

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, InvalidRequest, Page, Work, caller
from catalyst_sdk import Decision, Violation
from catalyst_sdk.dns import Capability
from google.protobuf import empty_pb2

from catalyst_pool_domain_manager.domain import labels, policy, pools, refusals
from catalyst_pool_domain_manager.domain.backends import PLUGINS, kept_as, resource_of
from catalyst_pool_domain_manager.domain.hosting import Kind
from catalyst_pool_domain_manager.domain.pools import Pool, PoolNotFound, ZoneMode
from catalyst_pool_domain_manager.domain.registrars import AccountNotFound
from catalyst_pool_domain_manager.domain.server_sets import ServerSetNotFound
from catalyst_pool_domain_manager.store import Store

from . import changes
from .messages import etag_of_pool, from_pool, to_pool

_ISSUER = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_ACCOUNT = re.compile(r"[a-z][a-z0-9+.-]*:[!#-:<-\[\]-~]+")
"""Printable, without quotes, semicolons and backslashes, which would end the value in the record."""
_NEEDED = {
    Capability.ZONE_LIFECYCLE: "zones of their own, which its names are unless the pool is IN_PARENT",
    Capability.DNSSEC: "signed zones, which those of names are",
    Capability.ATOMIC_BATCH: "changes of many records as a whole, by which a name is shown and taken away",
}
"""What names need that are zones of their own, of the backend of their pool."""


class PoolService(service_pb2_grpc.PoolServiceServicer):
    """Pools: made by an operator over a zone that is there; whether it is, a worker looks."""

    def __init__(self, work: Work[Store], defaults: tuple[float, float], least_ttl: int = 1) -> None:
        """`defaults`: seconds of a reservation and of a rest; `least_ttl`: that a pool may wish."""
        self._work = work
        self._defaults = defaults
        self._least_ttl = least_ttl

    async def CreatePool(self, request: service_pb2.CreatePoolRequest, context: Context) -> resources_pb2.Pool:
        backend = _check(request.pool_id, request.pool, self._least_ttl)
        actor = caller(context).subject

        async def step(tx: Store) -> Decision[Pool]:
            wish = from_pool(request.pool_id, request.pool, backend, tx.now, self._defaults)
            known = await tx.pool(request.pool_id)
            if known is None:
                await _demand_place(tx, wish)
            await check_able(tx, wish)
            return pools.create(known, wish, actor)

        if request.validate_only:
            return await self._work.rehearse(step, answer=to_pool)
        return await self._work.run(step, answer=to_pool)

    async def UpdatePool(self, request: service_pb2.UpdatePoolRequest, context: Context) -> resources_pb2.Pool:
        domain, actor = request.pool.name.removeprefix("pools/"), caller(context).subject
        paths = changes.paths(request)

        async def step(tx: Store) -> Decision[Pool]:
            known = await _fresh(tx, request.pool.name, request.etag, alone=True)
            whole = changes.merged(to_pool(known), request.pool, paths)
            backend = _check(domain, whole, self._least_ttl)
            wish = from_pool(domain, whole, backend, tx.now, self._defaults)
            # What the pool says itself keeps its version until it says something else.
            wish = replace(wish, rules=replace(wish.rules, version=known.rules.version))
            await check_able(tx, wish)
            return pools.change(known, wish, await tx.a_name_in(domain), actor, tx.now)

        if request.validate_only:
            return await self._work.rehearse(step, answer=to_pool)
        return await self._work.run(step, answer=to_pool)

    async def DeletePool(self, request: service_pb2.DeletePoolRequest, context: Context) -> empty_pb2.Empty:
        actor = caller(context).subject

        async def step(tx: Store) -> Decision[None]:
            known = await _fresh(tx, request.name, request.etag, alone=True)
            decision = pools.remove(known, await tx.a_name_in(known.domain), actor)
            if not request.validate_only:
                await tx.remove_pool(known)
            return decision

        if request.validate_only:
            return await self._work.rehearse(step, answer=lambda _: empty_pb2.Empty())
        return await self._work.run(step, answer=lambda _: empty_pb2.Empty())

    async def GetPool(self, request: service_pb2.GetPoolRequest, context: Context) -> resources_pb2.Pool:
        async with self._work.reading() as tx:
            pool = await tx.pool(request.name.removeprefix("pools/"))
        if pool is None:
            raise PoolNotFound(pool=request.name)
        return to_pool(pool)

    async def ListPools(self, request: service_pb2.ListPoolsRequest, context: Context) -> service_pb2.ListPoolsResponse:
        kind = resources_pb2.Pool.Kind.Name(request.kind) if request.kind else ""
        page = Page.of(request.page_size, request.page_token, "pools", kind, most=500)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.all_pools(page.after or "", page.size + 1, kind), lambda pool: pool.domain)
        return service_pb2.ListPoolsResponse(
            pools=[to_pool(pool) for pool in cut.rows], next_page_token=cut.next_page_token
        )

    async def ListReservedNames(
        self, request: service_pb2.ListReservedNamesRequest, context: Context
    ) -> service_pb2.ListReservedNamesResponse:
        async with self._work.reading() as tx:
            pool = await tx.pool(request.parent.removeprefix("pools/"))
        if pool is None:
            raise PoolNotFound(pool=request.parent)
        page = Page.of(request.page_size, request.page_token, "reservedNames", request.parent, most=500)
        # Labels sort before patterns; the pair is the place in the list.
        rest = [k for k in labels.kept(pool.policy, pool.in_use) if page.after is None or _place(k) > page.after]
        cut = page.cut(rest[: page.size + 1], _place)
        names = [resources_pb2.ReservedName(label=k.label, pattern=k.pattern, rule=k.rule) for k in cut.rows]
        return service_pb2.ListReservedNamesResponse(reserved_names=names, next_page_token=cut.next_page_token)


def _place(kept: labels.Kept) -> list[str]:
    return ["1", kept.label] if kept.label else ["2", kept.pattern]


async def _fresh(tx: Store, name: str, etag_read: str, *, alone: bool = False) -> Pool:
    """The pool as the caller read it. Raises PoolNotFound, EtagMismatch."""
    known = await tx.pool(name.removeprefix("pools/"), alone=alone)
    if known is None:
        raise PoolNotFound(pool=name)
    if etag_read != etag_of_pool(known):
        raise refusals.EtagMismatch(name=name)
    return known


async def _demand_place(tx: Store, wish: Pool) -> None:
    """One allocator for each name: no pool lies in another one, nor is one the domain of somebody. Raises InvalidRequest."""
    for other in await tx.all_pools():
        inner, outer = sorted((wish.domain, other.domain), key=len, reverse=True)
        if inner.endswith(f".{outer}"):
            text = f"{inner} lies in {outer}, whose names the pool of that name gives out"
            raise InvalidRequest((Violation("pool_id", text, "pool"),))
    zone = await tx.zone(wish.domain)
    if zone is not None and zone.kind is Kind.BYO:
        text = f"{zone.name} is kept for {zone.owner}; a pool needs a zone of the kind POOL"
        raise InvalidRequest((Violation("pool_id", text, "kind"),))


async def check_able(tx: Store, wish: Pool) -> None:
    """Where each name is a zone of its own, the backend must make and sign them; and what the pool names must be there.

    Raises CapabilityMissing, BackendNotFound, AccountNotFound, ServerSetNotFound.
    """
    account = wish.registrar_account
    if account and await tx.account(account.removeprefix("registrarAccounts/"), lock=True) is None:
        raise AccountNotFound(name=account)
    servers = wish.name_server_set
    if servers and await tx.server_set(servers.removeprefix("nameServerSets/"), lock=True) is None:
        raise ServerSetNotFound(name=servers)
    backend = resource_of(wish.backend)
    known = await tx.backend(backend.removeprefix("backends/"))
    if known is None and wish.backend == backend:
        raise refusals.BackendNotFound(backend=backend)
    if wish.zone_mode is ZoneMode.DELEGATED and known is not None:
        lacking = [what for capability, what in _NEEDED.items() if known.lacks(capability)]
        if lacking:
            raise refusals.CapabilityMissing(what="; ".join(lacking))


def _check(domain: str, wish: resources_pb2.Pool, least_ttl: int) -> str:
    """The backend as the pool has it. Raises what is wrong with the wish, all at once."""
    found = []
    if not wish.kinds:
        found.append(Violation("pool.kinds", "say what the pool is for", "required"))
    if wish.zone and wish.zone != f"zones/{domain}":
        found.append(Violation("pool.zone", f"the pool's zone is zones/{domain}", "zone"))
    if wish.zone_mode == resources_pb2.Pool.ZONE_MODE_IN_PARENT:
        found += _inside_faults(wish)
    names = [entry.name for entry in wish.record_layout]
    if len(names) != len(set(names)):
        found.append(Violation("pool.record_layout", "a name stands there twice", "unique"))
    found += [*_dnssec_faults(wish), *_ttl_faults(wish.ttls, least_ttl), *_policy_faults(wish.policy)]
    if found:
        raise InvalidRequest(tuple(found))
    return kept_as(wish.backend or f"backends/{next(iter(PLUGINS))}")


def _inside_faults(wish: resources_pb2.Pool) -> Iterator[Violation]:
    """What names cannot have whose records lie in the pool's zone."""
    if any(entry.name == "*" for entry in wish.record_layout):
        yield Violation("pool.record_layout", "the pool's own zone holds no wildcard, ever", "wildcard")
    if wish.name_server_set:
        yield Violation("pool.name_server_set", "names inside of the pool's zone have its servers", "zone_mode")


def _dnssec_faults(wish: resources_pb2.Pool) -> Iterator[Violation]:
    """Names of a pool are always signed, by one key each, with what a parent needs to vouch for it."""
    if not wish.HasField("dnssec"):
        return
    if not wish.dnssec.enabled:
        yield Violation("pool.dnssec.enabled", "names of a pool are always signed", "dnssec")
    if wish.dnssec.algorithm not in (0, 13):
        yield Violation("pool.dnssec.algorithm", "zones are signed by algorithm 13", "algorithm")
    if not wish.dnssec.publish_cds:
        yield Violation("pool.dnssec.publish_cds", "CDS and CDNSKEY are always published", "dnssec")


def _ttl_faults(wish: resources_pb2.PoolTtls, least: int) -> Iterator[Violation]:
    for field in ("ns", "ds", "record", "negative"):
        if wish.HasField(field) and not least <= getattr(wish, field).seconds < 2**31:  # RFC 2181, section 8
            yield Violation(f"pool.ttls.{field}", f"a time to live is {least} to 2147483647 seconds here", "ttl")


def _policy_faults(wish: resources_pb2.PoolPolicy) -> Iterator[Violation]:
    has_both = wish.HasField("min_label_length") and wish.HasField("max_label_length")
    if has_both and wish.min_label_length > wish.max_label_length:
        yield Violation("pool.policy.min_label_length", "it is above max_label_length", "range")
    for n, pattern in enumerate(wish.reserved_patterns):
        if fault := policy.pattern_fault(pattern):
            yield Violation(f"pool.policy.reserved_patterns[{n}]", fault, "pattern")
    for n, label in enumerate(wish.reserved_labels):
        if label != labels.normalise(label):
            yield Violation(f"pool.policy.reserved_labels[{n}]", "write it in lower case", "label")
    for n, issuer in enumerate(wish.issuers):
        if not _ISSUER.fullmatch(issuer):
            yield Violation(f"pool.policy.issuers[{n}]", "an issuer is a domain in lower case (RFC 8659)", "issuer")
    if wish.account_uri and not _ACCOUNT.fullmatch(wish.account_uri):
        yield Violation("pool.policy.account_uri", "it is no address of an account (RFC 8657)", "uri")

"""A flip, as a run on the journal: stage → replay → snapshot → insecure → flip → visible → watch → secure → confirm.

Where both hosts show each other's keys no DS has to go before: … snapshot → joined → flip → … → secure → parted → confirm.
From the one step to the other the parent vouches for both, until no cache has anything that the old host has signed.

Each step may be entered again by whoever takes the run over: it looks before it acts, and what it has to remember is stored.
Before the snapshot nothing is written at the parent, and a failure leaves everything as it is; after it, a failure takes the
snapshot back by a run of its own (`returns`).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import dns.dnssec
import dns.rdata
import dns.rrset
from catalyst_mesh.journal import Context, Engine, Kind, RunState, RunView, Step, StepFailed
from catalyst_sdk import Refused, Temporary
from catalyst_sdk.dns_rules import KEYS, Key
from catalyst_sdk.registrar import DnsKey, DsRecord, Target
from sqlalchemy.ext.asyncio import AsyncConnection

from catalyst_pool_domain_manager.domain import conditions as c
from catalyst_pool_domain_manager.domain import delegations, plans
from catalyst_pool_domain_manager.domain.delegations import WRITING, Delegation
from catalyst_pool_domain_manager.domain.dnssec import DISABLE, ROLL
from catalyst_pool_domain_manager.domain.hosting import State as ZoneState
from catalyst_pool_domain_manager.domain.hosting import Zone
from catalyst_pool_domain_manager.domain.plans import Plan
from catalyst_pool_domain_manager.store import Store

from . import chains, replay, signers
from .cuts import Cut
from .lookout import Lookout
from .moving import Moving, key_of, keys_shown, observed, own_ds, own_keys
from .polled import Polled
from .servers import Fault, rrset
from .worlds import state_at

FLIP = "delegation-flip"
BACK = "delegation-back"
"""Kind of the run that takes one back."""
FLOW = "flip"
_SEPARATOR = " "


@dataclass
class Flipping:
    """The steps of a run that moves a zone to our servers. `engine` is set once it is made of the kinds."""

    moving: Moving
    lookout: Lookout
    engine: Engine | None = None

    @property
    def kind(self) -> Kind:
        """For the engine."""
        return Kind(FLIP, self._graph, settled=self._settled)

    def _graph(self, input: Mapping[str, Any]) -> Iterable[Step]:
        joint = bool(input.get("joint"))
        steps = (
            ("stage", self._stage),
            ("replay", self._replay),
            ("snapshot", self._snapshot),
            ("joined", self._joined) if joint else ("insecure", self._insecure),
            ("flip", self._flip),
            ("visible", self._visible),
            ("watch", self._watch),
            ("secure", self._secure),
            *((("parted", self._parted),) if joint else ()),
            ("confirm", self._confirm),
        )  # fmt: skip - reads as a table
        before: tuple[str, ...] = ()
        for name, run in steps:
            yield self.moving.step(FLOW, name, run, *before)
            before = (name,)

    async def _stage(self, ctx: Context) -> Any:
        """Every new server answers for the zone: UDP and TCP, with authority, all records, valid signatures, clean EDNS."""
        d = await self.moving.stands(ctx)
        await self._demand_keys_stay(ctx, d)
        await self.moving.live(ctx, self.moving.pace.ttl)
        await self.moving.share(ctx, (await self._plan(d)).extra.get("others", ()))
        zone, target = await self.moving.zone(d.zone), _wished(d)
        ends = datetime.fromisoformat(await ctx.once("ends", _later(ctx, self.moving.pace.stage)))
        why = f"{zone.name} is {zone.state}"
        if zone.state is ZoneState.ACTIVE and zone.written >= zone.revision:
            state = await self.moving.state(zone)
            polled = await self.moving.new_servers(zone, target)
            faults = await polled.servers.zone_faults(polled.names, state)
            why = _told(faults or await polled.servers.edns_faults(polled.names, zone.origin))
            if not why:
                return {"revision": zone.revision}
        if ctx.now() >= ends:
            raise StepFailed("SERVERS_NOT_READY", f"the new servers are not ready: {why}")
        return await ctx.again(self.moving.pace.probe)

    async def _demand_keys_stay(self, ctx: Context, d: Delegation) -> None:
        """No exchange of keys is under way, none can begin any more, and the keys are those of the plan."""
        assert self.engine is not None, "it is set where the daemon is composed"
        zone = await self.moving.zone(d.zone)
        live = await self.engine.list(subject=zone.name, live=True, size=1)
        if any(run.kind in (ROLL, DISABLE) for run in live.runs):
            await ctx.again(self.moving.pace.registrar)
        state = await state_at(self.moving.backends, zone.backend, zone.origin)
        if state is not None and not _tags(_wished(d).ds) <= _tags(own_ds(state)):
            raise StepFailed("PLAN_STALE", f"{zone.name} has other keys than {d.name} was planned with; plan again")

    async def _replay(self, ctx: Context) -> Any:
        """Every imported name and type is answered alike by the old servers and by the new ones."""
        d = await self.moving.stands(ctx)
        zone, target, plan = await self.moving.zone(d.zone), _wished(d), await self._plan(d)
        cut = await self.moving.cuts.look(d.zone)
        shown = _present(cut)
        digests: dict[Key, str] = {}
        lifetime = cut.ns_lifetime
        if shown.ns and set(shown.ns) != set(target.ns):
            old = await self.moving.cuts.servers_of(shown.ns, shown.glue)
            accepted = {tuple(key) for key in plan.extra["accepted"]}
            keys = [key for key in _keys(plan) if key not in accepted]
            digests = await replay.digests(old, keys)
            lifetime = max(lifetime, await own_lifetime(old, zone.origin))
            new = await self.moving.new_servers(zone, target)
            _demand_alike(await replay.differing(new, digests))
            if _is_joint(ctx):  # the last one who asks the old servers keeps what they have signed for as long
                signed = [await own_lifetime(old, zone.origin, kind) for kind in (KEYS, "SOA")]
                lifetime += max(*signed, timedelta(seconds=plan.extra["held"]))
        await self.moving.decide(ctx, delegations.staged)
        return {
            "digests": {_SEPARATOR.join(key): digest for key, digest in digests.items()},
            "lifetime": lifetime.total_seconds(),
        }  # fmt: skip

    async def _snapshot(self, ctx: Context) -> Any:
        """What stands at the parent is the base of the plan, and is stored before it is changed."""
        d = await self.moving.stands(ctx)
        if d.state in WRITING and d.snapshot is not None:
            return {"etag": d.snapshot.etag}
        shown = await (await self.moving.door(d)).read()
        plan = await self._plan(d)
        if shown.etag != plan.base.etag:
            raise StepFailed("PLAN_STALE", f"{d.name} is not what {plan.name} was made from; plan again")
        keys = await self._old_keys(d.zone, shown.ns, shown.ds)
        kept = Target(shown.ns, shown.ds, shown.glue, keys)

        def stored(d: Delegation, now: datetime) -> Delegation:
            return delegations.snapshotted(d, kept, shown.etag, now, joint=_is_joint(ctx))

        after = await self.moving.decide(ctx, stored)
        await ctx.emit("flip.snapshot", f"{d.name} pointed to {', '.join(shown.ns) or 'nobody'}")
        assert after.snapshot is not None, "it was just stored"
        return {"etag": after.snapshot.etag}

    async def _insecure(self, ctx: Context) -> Any:
        """No DS of another's key is left at the parent or in a cache."""
        d = await self.moving.stands(ctx)
        delegations.demand_writable(d)
        door, snapshot = await self.moving.door(d), _snapshot_of(d)
        state = await self.moving.state(await self.moving.zone(d.zone))
        kept = tuple(ds for ds in snapshot.ds if (ds.key_tag, ds.algorithm) in _tags(own_ds(state)))
        if kept == snapshot.ds:
            return {"etag": ctx.output_of("snapshot")["etag"]}
        lifetime = timedelta(seconds=await ctx.once("lifetime", self._key_lifetime(d)))
        without = Target(snapshot.ns, kept, snapshot.glue, own_keys(state))
        shown = await self.moving.change(ctx, door, without, ctx.output_of("snapshot")["etag"])
        await self.moving.agreed(ctx, without)
        await ctx.sleep("caches", lifetime)
        return {"etag": shown.etag}

    async def _joined(self, ctx: Context) -> Any:
        """The parent vouches for the keys of both hosts, and no cache knows less."""
        d = await self.moving.stands(ctx)
        delegations.demand_writable(d)
        snapshot, ahead = _snapshot_of(d), await self._meanwhile(d)
        lifetime = timedelta(seconds=await ctx.once("lifetime", self._key_lifetime(d)))
        await self._demand_joint(d)
        both = Target(snapshot.ns, ahead.ds, snapshot.glue, ahead.keys)
        shown = await self.moving.change(ctx, await self.moving.door(d), both, ctx.output_of("snapshot")["etag"])
        cut = await self.moving.agreed(ctx, both)
        for host in (await self._old(d), await self.moving.new_servers(await self.moving.zone(d.zone), _wished(d))):
            faults = await self._chain(cut, host, f"{d.zone}.")
            _demand_chain(faults)
            if faults:
                await ctx.again(self.moving.pace.probe)
        await ctx.sleep("caches", lifetime)
        return {"etag": shown.etag}

    async def _demand_joint(self, d: Delegation) -> None:
        """The old host still shows our keys. Raises StepFailed."""
        state = await self.moving.state(await self.moving.zone(d.zone))
        own = [key.dnskey for key in state.keys]
        shown = await signers.others(await self._old(d), f"{d.zone}.", _snapshot_of(d).ds, own)
        if set(shown) != set((await self._plan(d)).extra["others"]):
            raise StepFailed("PLAN_STALE", f"the present host of {d.zone} shows other keys than before; plan again")

    async def _old(self, d: Delegation) -> Polled:
        """The servers that the domain comes from."""
        cut = await self.moving.cuts.look(d.zone)
        return await self.moving.cuts.servers_of(_snapshot_of(d).ns, _present(cut).glue)

    async def _flip(self, ctx: Context) -> Any:
        """The registrar shows the new name servers."""
        d = await self.moving.stands(ctx)
        delegations.demand_writable(d)
        before = "joined" if _is_joint(ctx) else "insecure"
        target, expect = await self._meanwhile(d), ctx.output_of(before)["etag"]
        door = await self.moving.door(d)
        if d.task == "":  # nothing was asked for yet: the last look before the write
            shown = await door.read()
            _demand_own_keys(d, shown.ds, target.ds)
        shown = await self.moving.change(ctx, door, target, expect)
        return {"etag": shown.etag}

    async def _visible(self, ctx: Context) -> Any:
        """Every server of the parent shows them."""
        d = await self.moving.stands(ctx)
        target = await self._meanwhile(d)
        cut = await self.moving.agreed(ctx, target)
        lifetime = max(cut.ns_lifetime, timedelta(seconds=ctx.output_of("replay")["lifetime"]))

        def flipped(d: Delegation, now: datetime) -> Delegation:
            return delegations.flipped(d, observed(cut, now), lifetime=lifetime, now=now).state

        await self.moving.decide(ctx, flipped, delegations.Applied)
        return {"lifetime": lifetime.total_seconds()}

    async def _watch(self, ctx: Context) -> Any:
        """Until no cache has an old answer: the new servers answer, and as the old ones did. Else everything goes back."""
        length = max(timedelta(seconds=ctx.output_of("visible")["lifetime"]), self.moving.pace.watch)
        ends = datetime.fromisoformat(await ctx.once("ends", _later(ctx, length)))
        await self._probe(ctx)
        await self._look_around(ctx)
        if ctx.now() < ends:
            await ctx.again(self.moving.pace.probe)
        return {}

    async def _secure(self, ctx: Context) -> Any:
        """The parent has the DS that was wished, and the chain holds."""
        d = await self.moving.stands(ctx)
        wished, door = _wished(d), await self.moving.door(d)
        if not wished.ds:
            return {"ds": "none"}
        shown = await door.read()
        if not door.can_write_ds and set(shown.ds) != set(wished.ds):
            return {"ds": "by-hand"}
        if set(shown.ns) != set(wished.ns):
            raise StepFailed("PLAN_STALE", f"{d.name} was changed by somebody else at the registrar")
        state = await self.moving.state(await self.moving.zone(d.zone))
        target = Target(wished.ns, wished.ds, wished.glue, own_keys(state))
        before = await ctx.once("etag", _value(shown.etag))
        await self.moving.change(ctx, door, target, before)
        cut = await self.moving.agreed(ctx, target)
        new = await self.moving.new_servers(await self.moving.zone(d.zone), wished)
        faults = await self._chain(cut, new, f"{d.zone}.")
        _demand_chain(faults)
        if faults:
            await ctx.again(self.moving.pace.probe)
        return {"ds": "published"}

    async def _parted(self, ctx: Context) -> Any:
        """No server of ours shows a key of the old host any more; the parent does not vouch for one, nor has a cache its
        signatures."""
        d = await self.moving.stands(ctx)
        await self.moving.share(ctx, ())
        zone = await self.moving.zone(d.zone)
        if zone.state is not ZoneState.ACTIVE or zone.written < zone.revision:
            await ctx.again(self.moving.pace.probe)
        return {}

    async def _confirm(self, ctx: Context) -> Any:
        """It is at its end."""
        how = ctx.output_of("secure")["ds"]
        cut = await self.moving.cuts.look(ctx.input["zone"])

        async def step(tx: Store) -> None:
            await ctx.guard(tx.sql)
            d = await tx.delegation(ctx.input["zone"], lock=True)
            if d is None or d.state is not delegations.State.WATCHING:
                return
            decision = delegations.confirmed(d, observed(cut, tx.now), _conditions(how, _wished(d)), tx.now)
            plan = await tx.plan(d.zone, d.plan)
            await tx.save_delegation(decision.state)
            if plan is not None and plan.state is plans.State.APPLYING:
                await tx.save_plan(plans.applied(plan, ""))
            tx.emit(*decision.events)

        await self.moving.work.again(step)
        return {}

    async def _probe(self, ctx: Context) -> None:
        """One look at every new server. Raises StepFailed with why everything has to go back."""
        d = await self.moving.stands(ctx)
        zone, target = await self.moving.zone(d.zone), _wished(d)
        polled = await self.moving.new_servers(zone, target)
        # At once, and of those that give no answer nothing more is asked: a way back must not wait for the dead.
        answers = await asyncio.gather(*(polled.servers.ask(server, zone.origin, "SOA") for server in polled.names))
        told = {s: a for s, a in zip(polled.names, answers, strict=True) if not isinstance(a, Fault)}
        failed = frozenset(s for s in polled.names if s not in told or not rrset(told[s], zone.origin, "SOA"))
        d = await self.moving.decide(ctx, lambda d, now: delegations.probed(d, failed, polled.names, now))
        if dead := delegations.dead(d):
            raise StepFailed("SERVER_DEAD", f"{', '.join(dead)} failed {delegations.MOST_MISSES} probes in a row")
        polled = replace(polled, names=tuple(told))
        kept = await self._unchanged(zone, ctx.output_of("stage")["revision"], ctx.output_of("replay")["digests"])
        _demand_alike(await replay.differing(polled, kept))
        if (await self._meanwhile(d)).ds:
            _demand_chain(await self._chain(await self.moving.cuts.look(d.zone), polled, zone.origin))

    async def _look_around(self, ctx: Context) -> None:
        """Tell what the parent, the old servers and resolvers say by now; none of it takes anything back."""
        d = await self.moving.stands(ctx)
        found = await self.lookout.look(d, await self._meanwhile(d))
        await self.moving.decide(ctx, lambda d, now: delegations.watched(d, found, now))

    async def _unchanged(self, zone: Zone, revision: int, digests: Mapping[str, str]) -> dict[Key, str]:
        """What is compared still: not what was wished otherwise since, which is meant to differ."""
        async with self.moving.work.reading() as tx:
            changed = {w.key for w in await tx.wishes_of(zone.domain) if w.revision > revision}
        split = {tuple(key.split(_SEPARATOR)): digest for key, digest in digests.items()}
        return {(name, kind): digest for (name, kind), digest in split.items() if (name, kind) not in changed}

    async def _meanwhile(self, d: Delegation) -> Target:
        """The wish, with those of the DS only that the parent has already: what is new waits for the watch to end. With two
        signers those of both."""
        wished, snapshot = _wished(d), _snapshot_of(d)
        state = await self.moving.state(await self.moving.zone(d.zone))
        if d.snapshot is not None and d.snapshot.joint:
            both = tuple(dict.fromkeys((*snapshot.ds, *wished.ds)))
            return Target(wished.ns, both, wished.glue, (*snapshot.keys, *own_keys(state)))
        kept = tuple(ds for ds in wished.ds if ds in snapshot.ds)
        return Target(wished.ns, kept, wished.glue, own_keys(state))

    async def _plan(self, d: Delegation) -> Plan:
        async with self.moving.work.reading() as tx:
            plan = await tx.plan(d.zone, d.plan)
        if plan is None:
            raise StepFailed("PLAN_NOT_FOUND", "the plan is gone")
        return plan

    async def _old_keys(self, domain: str, ns: Sequence[str], ds: Sequence[DsRecord]) -> tuple[DnsKey, ...]:
        """Keys behind the present DS: some registrars take only keys, and the way back needs them."""
        if not ds:
            return ()
        cut = await self.moving.cuts.look(domain)
        old = await self.moving.cuts.servers_of(ns, _present(cut).glue)
        for server in old.names:
            answer = await old.servers.ask(server, f"{domain}.", "DNSKEY")
            if not isinstance(answer, Fault) and (found := rrset(answer, f"{domain}.", "DNSKEY")):
                tags = {one.key_tag for one in ds}
                known = ((dns.dnssec.key_id(key), str(key)) for key in found)
                return tuple(key_of(tag, text) for tag, text in known if tag in tags)
        return ()

    def _key_lifetime(self, d: Delegation) -> Any:
        async def look() -> float:
            cut, old = await self.moving.cuts.look(d.zone), await self._old(d)
            return max(cut.ds_lifetime, await own_lifetime(old, f"{d.zone}.", KEYS)).total_seconds()

        return look

    async def _chain(self, cut: Cut, new: Polled, origin: str) -> list[Fault]:
        """What breaks the chain from every server of the parent to every new one."""
        both = new.servers.joined(cut.polled.servers)
        return await chains.faults(both, cut.polled.names, cut.parent, new.names, origin)

    async def _settled(self, sql: AsyncConnection, run: RunView) -> None:
        """A run that did not end well: what it may have written goes back, else nothing has changed."""
        if run.state is RunState.SUCCEEDED:
            return
        tx = Store(sql, run.finished_at or run.created_at, has_row_locks=self.moving.work.db.has_row_locks)
        d = await tx.delegation(run.input["zone"], lock=True)
        plan = await tx.plan(run.input["zone"], run.input["plan"])
        if plan is not None and plan.state is plans.State.APPLYING:
            await tx.save_plan(plans.ended(plan, plans.State.FAILED))
        if d is None or d.run != run.id:
            return
        if run.input.get("joint") and d.state not in WRITING:
            await keys_shown(tx, d.zone, (), 0)
        failure = run.failure or {}
        reason, text = str(failure.get("reason", "RUN_FAILED")), str(failure.get("message", run.state))
        if d.state in WRITING and d.can_go_back(tx.now):
            await tx.save_delegation(await self.go_back(tx, d, text, automatic=True, by="pooldomain"))
        else:
            await tx.save_delegation(delegations.failed(d, c.false(c.DELEGATED, reason, text), tx.now))

    async def go_back(self, tx: Store, d: Delegation, reason: str, *, automatic: bool, by: str) -> Delegation:
        """The delegation with the run that takes it back, begun in this transaction; call the engine's `wake` afterwards."""
        run = await self._way_back(tx, d, by, in_haste=automatic)
        return delegations.roll_back(d, reason=reason, automatic=automatic, run=run, now=tx.now)

    async def go_back_again(
        self, tx: Store, d: Delegation, withdrawn: Target, *, automatic: bool, by: str
    ) -> Delegation:
        """As `go_back`, for what has landed at the parent after all was back. Raises WindowClosed.

        The servers that it names may still answer, so nothing is hurried.
        """
        reason = "a change that nobody had answered for has landed"
        delegations.take_back_again(d, withdrawn, reason=reason, automatic=automatic, run="", now=tx.now)
        run = await self._way_back(tx, d, by, in_haste=False)
        return delegations.take_back_again(d, withdrawn, reason=reason, automatic=automatic, run=run, now=tx.now)

    async def _way_back(self, tx: Store, d: Delegation, by: str, *, in_haste: bool) -> str:
        assert self.engine is not None, "it is set where the daemon is composed"
        about = {"zone": d.zone, "flip": d.run, "automatic": in_haste, "unknown": d.task == delegations.UNKNOWN}
        run = await self.engine.start_in(
            tx.sql, BACK, subject=f"{d.name}/way-back", key=f"{d.uid}/{d.version}", input=about, by=by
        )
        return run.id


def _is_joint(ctx: Context) -> bool:
    """Whether both hosts sign while the domain moves."""
    return bool(ctx.input.get("joint"))


def _wished(d: Delegation) -> Target:
    assert d.wished is not None, "a flip begins with a wish"
    return d.wished


def _snapshot_of(d: Delegation) -> Target:
    assert d.snapshot is not None, "demand_writable"
    return d.snapshot.records


def _present(cut: Cut) -> Target:
    """What the parent shows. Raises Temporary while its servers do not agree."""
    if cut.agreed is None:
        raise Temporary(f"the servers of {cut.parent} say different things; a change is on its way", provider="dns")
    return cut.agreed


def _keys(plan: Plan) -> tuple[Key, ...]:
    return tuple((name, kind) for name, kind in plan.extra["replay"])


def _tags(found: Iterable[DsRecord]) -> set[tuple[int, int]]:
    return {(ds.key_tag, ds.algorithm) for ds in found}


def _later(ctx: Context, length: timedelta) -> Any:
    async def ends() -> str:
        return (ctx.now() + length).isoformat()

    return ends


def _value(found: str) -> Any:
    async def same() -> str:
        return found

    return same


def _told(faults: Iterable[Fault]) -> str:
    return "; ".join(f"{f.server} {f.verdict}: {f.detail}" for f in faults)


def _demand_alike(found: Mapping[str, Sequence[Key]]) -> None:
    """Raises StepFailed with what would be answered otherwise."""
    if found:
        told = "; ".join(
            f"{server}: {', '.join(f'{kind} of {name}' for name, kind in keys[:5])}" for server, keys in found.items()
        )
        raise StepFailed("REPLAY_DIFFERS", f"the new servers answer otherwise than the old ones: {told}")


def _demand_own_keys(d: Delegation, shown: Iterable[DsRecord], ours: Iterable[DsRecord]) -> None:
    try:
        delegations.demand_own_keys(d.name, shown, ours)
    except Refused as refused:
        raise StepFailed(refused.reason, refused.sentence) from refused


def _demand_chain(faults: Sequence[Fault]) -> None:
    """Raises StepFailed where the chain is broken; a server that is silent says nothing about it."""
    if broken := [fault for fault in faults if fault.verdict == "bogus"]:
        raise StepFailed("BOGUS", f"the chain from the parent does not hold: {_told(broken)}")


async def own_lifetime(polled: Polled, origin: str, kind: str = "NS") -> timedelta:
    """How long caches keep what the zone itself says."""
    answers = await asyncio.gather(*(polled.servers.ask(server, origin, kind) for server in polled.names))
    found = [one for a in answers if not isinstance(a, Fault) and (one := rrset(a, origin, kind)) is not None]
    return timedelta(seconds=max((int(one.ttl) for one in found), default=0))


def _conditions(how: str, wished: Target) -> tuple[c.Condition, ...]:
    if how == "published":
        return c.true(c.DELEGATED), c.true(c.DS_PUBLISHED)
    if how == "none":
        return c.true(c.DELEGATED), c.false(c.DS_PUBLISHED, "NotWished", "the plan has no DS")
    values = "; ".join(str(ds) for ds in wished.ds)
    return c.true(c.DELEGATED), c.false(c.DS_PUBLISHED, "ByHand", f"enter at the registrar's site: {values}")

"""Names of a pool zone: pool-domain-manager is the only writer of such a zone, and keeps the epoch of each host name itself.

A wish is not yet an answer: a name counts as moved when PDM says that its servers have what was wished.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst.pooldomain.v1.resources_pb2 import Allocation, TrafficMember, TrafficPolicy, TrafficProbe
from catalyst_mesh import explain, get_logger, span
from catalyst_sdk import Code, Refused
from catalyst_sdk.continuum import AuthorityView, CheckResult, Effect, TrafficPlan, TrafficView, Verdict
from google.protobuf.field_mask_pb2 import FieldMask

from catalyst_continuum.domain.spec import Selector
from catalyst_continuum.domain.steering import Steering

from .dns_update import Vantage
from .gates import ByGate, Gate

if TYPE_CHECKING:  # the generated stub is one class; only its types know of two
    from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceAsyncStub

AUTHORITY = "pdm"
TRIES = 3
_STRATEGIES = {
    Selector.STATIC: TrafficPolicy.STRATEGY_SINGLE,
    Selector.IFURLUP: TrafficPolicy.STRATEGY_ORDERED,
    Selector.IFPORTUP: TrafficPolicy.STRATEGY_ALL,
    Selector.PICKCLOSEST: TrafficPolicy.STRATEGY_CLOSEST,
    Selector.PICKWHASHED: TrafficPolicy.STRATEGY_WEIGHTED,
}
Policies = Mapping[str, TrafficPolicy]
Wish = Callable[[Allocation], Policies | None]
"""The policies of our names from what PDM has; None: a newer epoch is there."""


class NamesApart(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "NAMES_APART", "{names} do not lie at or below one name of {zone}"


def allocation_of(steering: Steering) -> str:
    """The allocation of the pool that all names of a slot lie at or below. Raises NamesApart."""
    zone = steering.zone.rstrip(".").lower()
    labels = {name.rstrip(".").lower().removesuffix(zone).rstrip(".").rpartition(".")[2] for name in steering.names}
    if len(labels) != 1 or "" in labels:
        raise NamesApart(names=", ".join(steering.names), zone=zone)
    return f"pools/{zone}/allocations/{labels.pop()}"


@dataclass(frozen=True)
class PdmTraffic(ByGate):
    """The traffic of one slot.

    allocation  `pools/{domain}/allocations/{label}`, at or below which all names are
    clock       seconds since the machine started
    patience    seconds for which a wish is waited for until the servers have it
    """

    steering: Steering
    allocation: str
    stub: "AllocationServiceAsyncStub"
    clock: Callable[[], float]
    patience: float = 5.0
    gate: Gate | None = None
    vantage: Vantage | None = None

    def plan(self, *, holder: str) -> TrafficPlan:
        """See the contract."""
        return self.steering.plan(holder)

    async def observe(self) -> TrafficView:
        """What PDM has, where its servers have it too; a wish under way is no answer yet."""
        sent = self.clock()
        a = await self._read()
        return TrafficView(tuple(_view(a, name, self.clock() - sent) for name in self.steering.names))

    async def apply(self, plan: TrafficPlan, *, epoch: int, run: str) -> Effect:
        """See the contract."""

        def wish(a: Allocation) -> Policies | None:
            known = _policies(a)
            if any(_is_newer(known[name], epoch, plan.holder) for name in plan.addresses if name in known):
                return None
            return {name: self._policy(plan, name, epoch) for name in plan.addresses}

        return await self._wished(wish)

    async def set_ttl(self, *, ttl: int, epoch: int, run: str) -> Effect:
        """See the contract. Names that are not in the epoch yet stay as they are: UNKNOWN, apply the plan first."""
        a = await self._read()
        known = _policies(a) if a is not None else {}
        if any(known[name].epoch > epoch for name in self.steering.names if name in known):
            return Effect.STALE_EPOCH
        holders = {_holder(known[name]) for name in self.steering.names if name in known and known[name].epoch == epoch}
        if len(holders) != 1 or not holders <= self.steering.places.keys():
            return Effect.UNKNOWN
        return await self.apply(replace(self.plan(holder=holders.pop()), ttl=ttl), epoch=epoch, run=run)

    async def verify(self, plan: TrafficPlan, *, epoch: int) -> Sequence[CheckResult]:
        """What PDM says of its servers, then what is seen from elsewhere."""
        view = await self.observe()
        behind = [
            one.name for one in view.authorities if one.epoch != epoch or one.addresses != plan.addresses[one.name]
        ]
        check = f"authority-{AUTHORITY}"
        if not all(one.answers for one in view.authorities):
            own = CheckResult(check, Verdict.UNKNOWN, "PDM does not answer")
        elif behind:
            own = CheckResult(
                check, Verdict.BLOCK, f"not in epoch {epoch}: {', '.join(behind)}", "the plan is applied again"
            )
        else:
            own = CheckResult(check, Verdict.PASS, f"{len(view.authorities)} names in epoch {epoch}")
        return (own, *(await self.vantage.look(plan) if self.vantage else ()))

    async def _wished(self, wish: Wish) -> Effect:
        """Read, wish, wait; who wrote meanwhile is read again."""
        for _ in range(TRIES):
            a = await self._read()
            if a is None:
                return Effect.UNKNOWN
            policies = wish(a)
            if policies is None:
                return Effect.STALE_EPOCH
            effect = await self._brought(a, policies)
            if effect is not None:
                return effect
        return Effect.UNKNOWN

    async def _brought(self, a: Allocation, policies: Policies) -> Effect | None:
        """None: somebody wrote since it was read."""
        known = _policies(a)
        if any(known.get(name) != policy for name, policy in policies.items()):
            try:
                a = await self.stub.UpdateAllocation(_update(a, {**known, **policies}))
            except grpc.aio.AioRpcError as error:
                reason = explain(error).reason
                if reason == "EPOCH_STALE":
                    return Effect.STALE_EPOCH
                if reason == "ETAG_MISMATCH":
                    return None
                get_logger("traffic").warning("name not moved", allocation=self.allocation, why=reason)
                return Effect.UNKNOWN
        return await self._settled(a)

    async def _settled(self, a: Allocation) -> Effect:
        if _is_settled(a):
            return Effect.DONE
        request = service_pb2.WaitAllocationRequest(
            name=self.allocation, state=Allocation.STATE_ACTIVE, generation=a.generation, timeout=span(self.patience)
        )  # fmt: skip
        try:
            return Effect.DONE if _is_settled(await self.stub.WaitAllocation(request)) else Effect.UNKNOWN
        except grpc.aio.AioRpcError:
            return Effect.UNKNOWN

    async def _read(self) -> Allocation | None:
        try:
            return await self.stub.GetAllocation(service_pb2.GetAllocationRequest(name=self.allocation))
        except grpc.aio.AioRpcError:
            return None

    def _policy(self, plan: TrafficPlan, name: str, epoch: int) -> TrafficPolicy:
        """The policy in the form in which PDM keeps it, so that what it has can be compared."""
        order = [plan.holder, *(region for region in self.steering.places if region != plan.holder)]
        weighed = self.steering.selector is Selector.PICKWHASHED
        members = [
            TrafficMember(address=address, weight=place.weight if weighed else 1, rank=rank, region=region)
            for rank, region, place in (
                (rank, region, self.steering.places[region]) for rank, region in enumerate(order)
            )
            for address in sorted(place.addresses)
            if address in plan.addresses[name]
        ]
        policy = TrafficPolicy(
            hostname=name, strategy=_STRATEGIES[self.steering.selector], members=members, epoch=epoch, ttl=span(plan.ttl)
        )  # fmt: skip
        if self.steering.probe is not None and self.steering.selector in (Selector.IFURLUP, Selector.IFPORTUP):
            policy.probe.CopyFrom(self._probe())
        return policy

    def _probe(self) -> TrafficProbe:
        probe = self.steering.probe
        assert probe is not None
        made = TrafficProbe(
            interval=span(probe.interval), timeout=span(probe.timeout), down_after=probe.failures, url=probe.url
        )
        if self.steering.selector is Selector.IFPORTUP:
            made.tcp_port = probe.port  # takes the place of the address
        return made


def _update(a: Allocation, policies: Policies) -> service_pb2.UpdateAllocationRequest:
    """All policies of the name: those of others stay as they are."""
    wished = resources_pb2.Allocation(name=a.name, traffic=policies.values())
    return service_pb2.UpdateAllocationRequest(
        allocation=wished, update_mask=FieldMask(paths=["traffic"]), etag=a.etag, request_id=str(uuid4())
    )


def _policies(a: Allocation) -> dict[str, TrafficPolicy]:
    return {policy.hostname: policy for policy in a.traffic}


def _holder(policy: TrafficPolicy) -> str:
    return policy.members[0].region


def _is_newer(policy: TrafficPolicy, epoch: int, holder: str) -> bool:
    return policy.epoch > epoch or (policy.epoch == epoch and _holder(policy) not in ("", holder))


def _is_settled(a: Allocation) -> bool:
    return a.state == Allocation.STATE_ACTIVE and a.observed_generation >= a.generation


def _view(a: Allocation | None, name: str, age: float) -> AuthorityView:
    if a is None:
        return AuthorityView(AUTHORITY, name, None, answers=False, age=age)
    policy = _policies(a).get(name)
    if policy is None or not _is_settled(a):
        return AuthorityView(AUTHORITY, name, None, age=age)
    addresses = tuple(sorted(member.address for member in policy.members))
    return AuthorityView(AUTHORITY, name, policy.epoch, addresses, policy.ttl.seconds, age=age)

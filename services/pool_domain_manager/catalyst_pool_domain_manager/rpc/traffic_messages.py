"""Traffic policies as they are wished, and whether they can be had."""

from collections.abc import Collection, Iterable

from catalyst.pooldomain.v1 import resources_pb2
from catalyst_sdk.dns import Capability

from catalyst_pool_domain_manager.domain import refusals, traffic
from catalyst_pool_domain_manager.domain.traffic import Member, Policy, Probe, Strategy

_KIND = resources_pb2.TrafficPolicy


def from_messages(wished: Iterable[resources_pb2.TrafficPolicy]) -> tuple[Policy, ...]:
    """Policies as they are wished, not judged yet. What has no strategy is told as SINGLE's."""
    return tuple(_from_message(p) for p in wished)


def _from_message(p: resources_pb2.TrafficPolicy) -> Policy:
    name = _KIND.Strategy.Name(p.strategy).removeprefix("STRATEGY_")
    members = tuple(Member(m.address, m.weight or _weight(p, m), m.rank, m.region) for m in p.members)
    ttl = max(1, int(p.ttl.ToTimedelta().total_seconds())) if p.HasField("ttl") else None
    strategy = Strategy.SINGLE if name == "UNSPECIFIED" else Strategy[name]
    return Policy(p.hostname, strategy, members, _from_probe(p.probe) if p.HasField("probe") else None, ttl, p.epoch)


def _weight(p: resources_pb2.TrafficPolicy, m: resources_pb2.TrafficMember) -> int:
    """The contract's default is 1, and its 0 cannot be told from what is not said; so where somebody has a weight, 0 is 0."""
    return 0 if any(one.weight for one in p.members) else 1


def _from_probe(p: resources_pb2.TrafficProbe) -> Probe:
    base = Probe()
    return Probe(
        url=p.url, port=p.tcp_port,
        interval=p.interval.ToTimedelta().total_seconds() if p.HasField("interval") else base.interval,
        timeout=p.timeout.ToTimedelta().total_seconds() if p.HasField("timeout") else base.timeout,
        down_after=p.down_after or base.down_after,
    )  # fmt: skip


def planned(policies: Iterable[Policy], can: Collection[Capability]) -> None:
    """Raises CapabilityMissing with everything that the backend can neither do nor have done for it."""
    if lacking := [f"{what} of {p.hostname}" for p in policies if (what := traffic.missing(p, can))]:
        raise refusals.CapabilityMissing(what="; ".join(lacking))

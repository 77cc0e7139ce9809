"""Real name servers with one traffic zone, two of a kind, and drivers over them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import dns.name
import dns.tsig
from catalyst_continuum.clock import boottime
from catalyst_continuum.domain.steering import Place, Steering
from catalyst_continuum.workers.traffic.authority import Authority
from catalyst_continuum.workers.traffic.dns_update import DnsUpdate
from catalyst_testkit import witness_zones
from catalyst_testkit.bind import bind_server
from catalyst_testkit.continuum.traffic_suite import FRONTS, PATIENCE, Server, TrafficBench
from catalyst_testkit.embedded import embedded_server
from catalyst_testkit.knot import knot_server
from catalyst_testkit.nameservers import UPDATE_SECRET, update_key
from catalyst_testkit.powerdns import powerdns_server

ZONE = "traffic.test"


def steering(name: str) -> Steering:
    return Steering(ZONE, (name,), {region: Place(addresses) for region, addresses in FRONTS.items()})


def authority(name: str, address: str, secret: str = UPDATE_SECRET, patience: float = PATIENCE) -> Authority:
    host, _, port = address.rpartition(":")
    key = dns.tsig.Key(update_key().name, secret, dns.tsig.HMAC_SHA256)
    return Authority(name, host, int(port), dns.name.from_text(ZONE), key, patience)


def make(
    name: str, authorities: Mapping[str, str], *, secret: str = UPDATE_SECRET, patience: float = PATIENCE
) -> DnsUpdate:
    servers = [authority(which, at, secret, patience) for which, at in authorities.items()]
    return DnsUpdate(steering(name), servers, boottime)


def over(bench: TrafficBench, name: str) -> DnsUpdate:
    """A driver over all servers of a bench."""
    return make(name, {which: server.address for which, server in bench.servers.items()})


def on_bind(stack: ExitStack) -> Server:
    server = stack.enter_context(bind_server())
    witness_zones.on_bind(server, witness_zones.new_identity(), ZONE)
    return server


def on_knot(stack: ExitStack) -> Server:
    server = stack.enter_context(knot_server())
    witness_zones.on_knot(server, witness_zones.new_identity(), ZONE)
    return server


def on_powerdns(stack: ExitStack) -> Server:
    server = stack.enter_context(
        powerdns_server(**witness_zones.UPDATES, enable_lua_records="yes", lua_health_checks_interval="1")
    )
    witness_zones.on_powerdns(server, witness_zones.new_identity(), ZONE)
    return server


def on_embedded(stack: ExitStack) -> Server:
    return stack.enter_context(embedded_server(ZONE))


def on_withholding(stack: ExitStack) -> Server:
    return stack.enter_context(embedded_server(ZONE, "--withhold"))


@contextmanager
def bench(*kinds: Callable[[ExitStack], Server]) -> Iterator[TrafficBench]:
    """Servers of these kinds for the block."""
    with ExitStack() as stack:
        servers = {f"ns{n}": kind(stack) for n, kind in enumerate(kinds, start=1)}
        yield TrafficBench(ZONE, servers, make)

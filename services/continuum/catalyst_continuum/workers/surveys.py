"""Whom a plan asks in the daemon of a region: the slot's agent, and what that acts with."""

import grpc
from catalyst_sdk.continuum import DatabaseView

from catalyst_continuum.domain import steering
from catalyst_continuum.domain.spec import Spec

from .memory import Memory
from .observe import Sight
from .peers import VERSION, as_agent, hello
from .register import Register
from .steps.scene import Hands
from .survey import Survey, Versions
from .traffic.dns_update import DnsUpdate


def survey_of(
    slot: str, spec: Spec, *, register: Register, sight: Sight, hands: Hands, memory: Memory, versions: Versions
) -> Survey:
    """What the agent of a slot sees, and its name servers.

    versions   of the daemons of other regions
    """
    wish = steering.wished(spec)
    traffic = hands.traffic if wish is not None else None

    async def database(region: str) -> DatabaseView | None:
        """Of this region at first hand, of another as its agent tells now; whose copy it is outlives its region."""
        if region == sight.duty.region:
            return await hands.promoter.observe(region=region)
        await as_agent(sight.look_at_peer(region))
        told, kept = sight.report(region), memory.read(slot).system_id
        return told or (DatabaseView(region, system_id=kept) if kept else None)

    async def known(region: str) -> str | None:
        return VERSION if region == sight.duty.region else await versions(region)

    return Survey(
        lambda: register.glance(slot), lambda: register.cells_of(slot), spec.members, spec.profile.renew,
        databases=database if spec.has_database else None, traffic=traffic,
        authorities=traffic.authorities if isinstance(traffic, DnsUpdate) else (),
        fronts={region.name: region.lb_ips for region in spec.regions} if wish is not None else {},
        port=wish.probe.port if wish is not None and wish.probe is not None else None,
        version=VERSION, versions=known, stable=sight.stable,
    )  # fmt: skip


async def version_of(channel: grpc.aio.Channel, region: str) -> str | None:
    """Version of the daemon behind a channel, told to the agent of `region`; None: it does not answer."""
    answer = await as_agent(hello(channel, region))
    return str(answer.version) if answer is not None else None

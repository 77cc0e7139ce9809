"""Environment objects."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst_kube.cluster import Object
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Seen
from catalyst_kube.daemons import Own, differing, is_new, passed_on

RESTING = timedelta(seconds=60)
Regions = list[tuple[str, str, str]]


class Environments:
    """service   the daemon's own EnvironmentService"""

    def __init__(self, ask: Own, service: Any) -> None:
        self._ask = ask
        self._service = service

    async def reconcile(self, one: Object) -> Seen:
        """Raises Unacceptable."""
        spec = one["spec"]
        held = await self._found(one["metadata"]["name"])
        if held is None and is_new(one):
            held = await self._create(spec)
        if held is None:
            return Seen((Observed("Ready", False, "DeletedElsewhere"),), again=RESTING)
        return Seen(
            (
                ready(held),
                differing({"regions": _wished(spec)}, {"regions": _standing(held)}),
                *passed_on(held.conditions),
            ),
            status_of(held, spec),
            RESTING,
        )

    async def release(self, one: Object) -> None:
        """Take it away, if nothing stands in it. Raises Unacceptable."""
        held = await self._found(one["metadata"]["name"])
        if held is not None:
            request = rpc.DeleteEnvironmentRequest(name=held.name, etag=held.etag)
            await self._ask(self._service.DeleteEnvironment, request)

    async def _found(self, id: str) -> pb.Environment | None:
        request = rpc.GetEnvironmentRequest(name=f"environments/{id}")
        held: pb.Environment | None = await self._ask.find(self._service.GetEnvironment, request)
        return held

    async def _create(self, spec: Mapping[str, Any]) -> pb.Environment:
        regions = [
            pb.Environment.Region(provider=provider, region=region, building_block=block)
            for provider, region, block in _wished(spec)
        ]
        wish = pb.Environment(type=spec["envType"], regions=regions)
        request = rpc.CreateEnvironmentRequest(parent=f"organizations/{spec['organizationRef']}", environment=wish)
        made: pb.Environment = await self._ask(self._service.CreateEnvironment, request)
        return made


def ready(held: pb.Environment) -> Observed:
    """Whether Applications can run there: nothing that it needs is missing."""
    missing = next((one for one in held.conditions if one.status != 1), None)
    if missing is None:
        return Observed("Ready", True, "Ready")
    return Observed("Ready", False, missing.reason or "Missing", f"{missing.type}: {missing.message}")


def status_of(held: pb.Environment, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What of it is there."""
    return {
        "phase": "Ready" if ready(held).status else "Pending",
        "regionCount": len(held.regions),
        "giteaRepoRef": {"org": spec["organizationRef"], "branch": held.branch},
        "jetstreamSubjectPrefix": f"{held.subject_prefix}>",
    }


def _wished(spec: Mapping[str, Any]) -> Regions:
    return [(each["provider"], each["region"], each["buildingBlock"]) for each in spec["regions"]]


def _standing(held: pb.Environment) -> Regions:
    return [(each.provider, each.region, each.building_block) for each in held.regions]

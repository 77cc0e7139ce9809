"""Application objects: installed, configured, upgraded and removed by runs, as by RPC."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst_kube.cluster import Object
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Seen, Unacceptable
from catalyst_kube.daemons import Own, differing, is_new, moment, passed_on, unserved
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

MOVING, RESTING = timedelta(seconds=2), timedelta(seconds=60)
IDLE = ("healthCheck", "owners", "topology", "instanceId", "namingTemplate", "dependsOn")
_State = pb.Application.State
_MOVES = (_State.STATE_INSTALLING, _State.STATE_UPDATING, _State.STATE_UNINSTALLING)
_PHASES: Mapping[int, str] = {
    _State.STATE_INSTALLING: "Provisioning",
    _State.STATE_ACTIVE: "Ready",
    _State.STATE_UPDATING: "Provisioning",
    _State.STATE_DEGRADED: "Degraded",
    _State.STATE_FAILED: "Failed",
    _State.STATE_PAUSED: "Degraded",
    _State.STATE_UNINSTALLING: "Uninstalling",
}  # fmt: skip - a table


class Applications:
    """service   the daemon's own ApplicationService"""

    def __init__(self, ask: Own, service: Any) -> None:
        self._ask = ask
        self._service = service

    async def reconcile(self, one: Object) -> Seen:
        """Raises Unacceptable."""
        spec, fresh = one["spec"], is_new(one)
        if spec.get("bootstrap"):
            return Seen((Observed("Ready", None, "Adopted", "adopted: nothing is rendered, and nobody here sees it"),))
        name = demand_home(one)
        held = await self._found(name)
        if held is None and fresh:
            held = await self._create(one)
        if held is None:
            return Seen((Observed("Ready", False, "DeletedElsewhere"),), again=RESTING)
        if fresh:
            held = await self._changed(spec, held)
        wished, stands = _pinned(spec), _standing(held)
        return Seen(
            (
                ready(held),
                differing(wished, stands),
                placed(spec, held),
                unserved(spec, idle(spec, held)),
                *passed_on(held.conditions),
            ),
            status_of(held),
            MOVING if held.state in _MOVES else RESTING,
        )

    async def release(self, one: Object) -> None:
        """Begin its removal. Raises Unacceptable where others need it."""
        if one["spec"].get("bootstrap"):
            return
        held = await self._found(demand_home(one))
        if held is not None and held.state != _State.STATE_UNINSTALLING:
            request = rpc.DeleteApplicationRequest(name=held.name, etag=held.etag)
            await self._ask(self._service.DeleteApplication, request)

    async def _found(self, name: str) -> pb.Application | None:
        held: pb.Application | None = await self._ask.find(
            self._service.GetApplication, rpc.GetApplicationRequest(name=name)
        )
        return held

    async def _create(self, one: Object) -> pb.Application:
        spec = one["spec"]
        wish = pb.Application(
            blueprint=f"blueprints/{spec['blueprintRef']['name']}",
            blueprint_version=spec["blueprintRef"]["version"],
            config=ParseDict(dict(spec.get("parameters", {})), Struct()),
        )
        request = rpc.CreateApplicationRequest(
            parent=f"environments/{spec['environmentRef']}", application_id=one["metadata"]["name"], application=wish
        )
        made: pb.Application = await self._ask(self._service.CreateApplication, request)
        return made

    async def _changed(self, spec: Mapping[str, Any], held: pb.Application) -> pb.Application:
        """First the version, then the configuration: each is work of its own, and one of them goes on at a time."""
        wished, stands = _pinned(spec), _standing(held)
        if wished["blueprint"] != stands["blueprint"]:
            raise Unacceptable("Immutable", f"{held.name} is {stands['blueprint']}; a Blueprint never changes")
        if wished["version"] != stands["version"]:
            request = rpc.UpgradeApplicationRequest(name=held.name, blueprint_version=wished["version"])
            held = await self._ask(self._service.UpgradeApplication, request)
        if wished["parameters"] != stands["parameters"]:
            wish = pb.Application(name=held.name, config=ParseDict(wished["parameters"], Struct()))
            change = rpc.UpdateApplicationRequest(application=wish, etag=held.etag)
            change.update_mask.paths.append("config")
            held = await self._ask(self._service.UpdateApplication, change)
        return held


def demand_home(one: Object) -> str:
    """Its resource name. Raises Unacceptable where its namespace is another Organization's: who may write here, not there."""
    environment, namespace = one["spec"]["environmentRef"], one["metadata"]["namespace"]
    if namespace not in (environment, environment.rpartition("-")[0]):
        raise Unacceptable(
            "NamespaceForeign", f"{environment} takes Applications from the namespace of its Organization alone"
        )
    return f"environments/{environment}/applications/{one['metadata']['name']}"


def ready(held: pb.Application) -> Observed:
    """Whether it was seen healthy."""
    word = _State.Name(held.state).removeprefix("STATE_").capitalize()
    return Observed("Ready", held.state == _State.STATE_ACTIVE, word, held.reason)


def placed(spec: Mapping[str, Any], held: pb.Application) -> Observed:
    """Whether it runs where the object says: where Applications of an Environment run, the Environment's own regions decide."""
    wished, stands = spec["regions"], clusters(held)
    if not stands:
        return Observed("Placed", False, "NoCluster", "no cluster was given its files")
    if set(wished) == set(stands):
        return Observed("Placed", True, "AsWished")
    return Observed("Placed", False, "Elsewhere", f"its Environment runs on {', '.join(stands)}")


def idle(spec: Mapping[str, Any], held: pb.Application) -> list[str]:
    """Fields that have no effect, as far as can be told of this one."""
    found = list(IDLE)
    if spec.get("isolationLevel") == "vcluster":
        found.append("isolationLevel")
    if not _is_so_placed(spec.get("placement"), len(held.placements)):
        found.append("placement")
    return found


def clusters(held: pb.Application) -> list[str]:
    """On which it stands, by the words of objects: `hz-fsn-rtz-prod`."""
    return [one.cluster.rpartition("/")[2] for one in held.placements]


def _is_so_placed(placement: str | Mapping[str, Any] | None, count: int) -> bool:
    """On one cluster it is in one region; on several each serves. Nothing stands by: that is a slot of continuum's."""
    if placement is None or isinstance(placement, str):
        return placement is None or placement == ("single-region" if count == 1 else "active-active" if count else "")
    return not placement.get("vcluster") and _is_so_placed(placement["mode"], count)


def status_of(held: pb.Application) -> dict[str, Any]:
    """What of it is there."""
    pin, stands = held.pin, clusters(held)
    return {
        "phase": _PHASES.get(held.state, "Pending"),
        "primaryRegion": next(iter(stands), ""),
        "regions": [
            _region(name, one, is_alone=len(stands) == 1) for name, one in zip(stands, held.placements, strict=True)
        ],
        "giteaRepo": held.repository,
        "installedBlueprint": {
            "name": held.blueprint.rpartition("/")[2],
            "version": pin.version or held.blueprint_version,
            "digest": pin.digest,
        },
    }  # fmt: skip - a document


def _region(name: str, one: pb.Application.Placement, *, is_alone: bool) -> dict[str, Any]:
    return {
        "name": name,
        "role": "primary" if is_alone else "active",
        "ready": one.state == pb.Application.Placement.STATE_READY,
        "lastTransitionTime": moment(one.change_time),
    }


def _pinned(spec: Mapping[str, Any]) -> dict[str, Any]:
    parameters = MessageToDict(ParseDict(dict(spec.get("parameters", {})), Struct()))
    return {
        "blueprint": spec["blueprintRef"]["name"],
        "version": spec["blueprintRef"]["version"],
        "parameters": parameters,
    }


def _standing(held: pb.Application) -> dict[str, Any]:
    name = held.blueprint.rpartition("/")[2]
    return {"blueprint": name, "version": held.blueprint_version, "parameters": MessageToDict(held.config)}

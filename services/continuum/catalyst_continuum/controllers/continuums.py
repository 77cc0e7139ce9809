"""Continuum objects: the wish of a manifest, and in its status what this region knows.

Invariants
  not ours     `spec` is never written: the live primary stands in the status;
  at an edge   `switchover.requested` begins one run for each `requestId`, whatever is looked at how often;
  who freezes  an object ends no suspension but one that it began.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from catalyst.continuum.v1 import resources_pb2 as pb
from catalyst.continuum.v1 import service_pb2 as rpc
from catalyst_kube.cluster import Object, Unreachable
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Seen, Unacceptable
from catalyst_kube.daemons import Own, differing, is_new, is_suspended_by, moment, passed_on, suspension
from catalyst_sdk import forms
from catalyst_sdk.continuum_form import SPEC
from google.protobuf.json_format import ParseDict

LOOK = timedelta(seconds=10)
RESTLESS = frozenset(
    {
        "leaseExpiresAt",
        "seq",
        "selfAuthority",
        "authorityRemaining",
        "replicationLag",
        "maxReplicationLag",
        "replicationGapBytes",
        "witness",
    }
)
FREELY = [f"spec.{name}" for name in pb.ContinuumSpec.DESCRIPTOR.fields_by_name if name != "suspend"]
_Status = pb.ContinuumStatus


class Continuums:
    """service   the daemon's own ContinuumService"""

    def __init__(self, ask: Own, service: Any) -> None:
        self._ask = ask
        self._service = service

    async def reconcile(self, one: Object) -> Seen:
        """Raises Unacceptable."""
        fresh, wish = is_new(one), wished(one["spec"])
        held = await self._found(one)
        if held is None and fresh:
            held = await self._create(one, wish)
        if held is None:
            return Seen((Observed("Ready", False, "DeletedElsewhere"),), again=LOOK)
        ours = held.spec.suspend and is_suspended_by(one)
        if fresh:
            held, ours = await self._changed(held, wish, ours=ours)
        taken, trigger = await self._triggered(one, held)
        return Seen(
            (
                *passed_on(held.conditions),
                suspension(stands=held.spec.suspend, ours=ours),
                differing(_freely(wish), _freely(held.spec)),
                *trigger,
            ),
            status_of(held) | {"observedRequestId": taken},
            LOOK,
            RESTLESS,
        )

    async def release(self, one: Object) -> None:
        """Ask the slot to go: its register is given back before it is forgotten. Raises Unacceptable."""
        held = await self._found(one)
        if held is not None:
            await self._ask(self._service.DeleteContinuum, rpc.DeleteContinuumRequest(name=held.name, etag=held.etag))

    async def _found(self, one: Object) -> pb.Continuum | None:
        request = rpc.GetContinuumRequest(name=name_of(one))
        held: pb.Continuum | None = await self._ask.find(self._service.GetContinuum, request)
        return held

    async def _create(self, one: Object, wish: pb.ContinuumSpec) -> pb.Continuum:
        parent, _, id = name_of(one).rpartition("/continuums/")
        request = rpc.CreateContinuumRequest(parent=parent, continuum_id=id, continuum=pb.Continuum(spec=wish))
        made: pb.Continuum = await self._ask(self._service.CreateContinuum, request)
        return made

    async def _changed(self, held: pb.Continuum, wish: pb.ContinuumSpec, *, ours: bool) -> tuple[pb.Continuum, bool]:
        paths = [] if _freely(wish) == _freely(held.spec) else list(FREELY)
        if wish.suspend != held.spec.suspend and (wish.suspend or ours):
            paths.append("spec.suspend")
        if not paths:
            return held, ours
        request = rpc.UpdateContinuumRequest(continuum=pb.Continuum(name=held.name, spec=wish), etag=held.etag)
        request.update_mask.paths.extend(paths)
        changed: pb.Continuum = await self._ask(self._service.UpdateContinuum, request)
        return changed, ours or ("spec.suspend" in paths and wish.suspend)

    async def _triggered(self, one: Object, held: pb.Continuum) -> tuple[str, tuple[Observed, ...]]:
        """The trigger that was taken last, and how that went: a run has its own status, so a refusal alone is told."""
        trigger: Mapping[str, Any] = one["spec"].get("switchover", {})
        id, taken = trigger.get("requestId", ""), one.get("status", {}).get("observedRequestId", "")
        if not (trigger.get("requested") and id) or id == taken:
            return taken, tuple(_told_before(one))
        request = rpc.StartRunRequest(
            name=held.name, kind=pb.RUN_KIND_SWITCHOVER, to_region=trigger.get("targetRegion", ""),
            reason=trigger.get("reason", ""), expected_epoch=max(held.status.epoch, 1),
            request_id=str(uuid5(NAMESPACE_URL, f"{one['metadata']['uid']}/{id}")),
        )  # fmt: skip
        try:
            await self._ask(self._service.StartRun, request)
        except Unacceptable as error:
            return id, (Observed("SwitchoverTaken", False, error.reason, str(error)),)
        except (
            Unreachable
        ) as error:  # who would begin it is not here: tried at each look, and what is seen is told meanwhile
            return taken, (Observed("SwitchoverTaken", False, "NotYet", str(error)),)
        return id, (Observed("SwitchoverTaken", True, "Begun"),)


def _told_before(one: Object) -> list[Observed]:
    words = {"True": True, "False": False}
    return [
        Observed(each["type"], words.get(each["status"]), each["reason"], each.get("message", ""))
        for each in one.get("status", {}).get("conditions", ())
        if each["type"] == "SwitchoverTaken"
    ]


def name_of(one: Object) -> str:
    """Its resource name."""
    return f"namespaces/{one['metadata']['namespace']}/continuums/{one['metadata']['name']}"


def wished(spec: Mapping[str, Any]) -> pb.ContinuumSpec:
    """The wish as the contract says it. Raises Unacceptable with every fault."""
    values, faults = forms.read(SPEC, dict(spec), "spec")
    if faults:
        raise Unacceptable("Invalid", "; ".join(f"{each.field}: {each.description}" for each in faults)[:4000])
    return ParseDict(SPEC.to_api(values), pb.ContinuumSpec())


def _freely(spec: pb.ContinuumSpec) -> dict[str, Any]:
    """The wish by fields, but for suspension."""
    return {field.name: str(value) for field, value in spec.ListFields() if field.name != "suspend"}


def status_of(held: pb.Continuum) -> dict[str, Any]:
    """What this region knows."""
    told = held.status
    return {
        "phase": _word(_Status.Phase.Name(told.phase), "PHASE_") or "Pending",
        "primaryRegion": told.primary_region,
        "leaseHolder": told.lease_holder,
        **({"leaseExpiresAt": moment(told.lease_expire_time)} if told.HasField("lease_expire_time") else {}),
        "epoch": told.epoch,
        "seq": told.seq,
        "selfRegion": told.self_region,
        **({"selfAuthority": _Status.Authority.Name(told.self_authority)[10:].lower()} if told.self_authority else {}),
        "authorityRemaining": _span(told, "authority_remaining"),
        "replicationLag": {name: _seconds(lag) for name, lag in told.replication_lag.items()},
        "maxReplicationLag": _span(told, "max_replication_lag"),
        "replicationGapBytes": dict(told.replication_gap_bytes),
        "syncStandby": list(told.sync_standby),
        **({"standbyAvailable": told.standby_available} if told.HasField("standby_available") else {}),
        "hotStandbyAbsent": bool(told.hot_standby_absent),
        "witness": {
            "cells": [
                {
                    "name": cell.name,
                    "reachable": cell.reachable,
                    "lagBallots": cell.lag_ballots,
                    "identity": cell.identity,
                    "rtt": _span(cell, "rtt"),
                }
                for cell in told.witness.cells
            ],
            "quorum": told.witness.quorum,
            "size": told.witness.size,
        },
        **({"lastSwitchover": _move(told.last_switchover)} if told.HasField("last_switchover") else {}),
        "history": [_move(each) for each in told.history][:20],
        "rtoWorstCase": _span(told, "rto_worst_case"),
    }  # fmt: skip - a document


def _move(told: pb.MoveRecord) -> dict[str, Any]:
    return {
        "at": moment(told.end_time),
        "from": told.from_region,
        "to": told.to_region,
        "reason": told.reason,
        "kind": _word(pb.RunKind.Name(told.kind), "RUN_KIND_"),
        "rtoObserved": _span(told.measured, "rto_observed"),
        "rpoObserved": _span(told.measured, "rpo_observed"),
        "initiatedBy": told.initiated_by,
        "result": _word(pb.MoveRecord.Result.Name(told.result), "RESULT_"),
        "epoch": told.epoch,
        "components": {name: _seconds(length) for name, length in told.measured.components.items()},
    }  # fmt: skip - a document


def _word(name: str, prefix: str) -> str:
    """`PHASE_SWITCHING_OVER` as `SwitchingOver`; what nobody said is empty."""
    words = name.removeprefix(prefix)
    return "" if words == "UNSPECIFIED" else "".join(word.capitalize() for word in words.split("_"))


def _span(message: Any, field: str) -> str:
    return _seconds(getattr(message, field)) if message.HasField(field) else ""


def _seconds(length: Any) -> str:
    return f"{length.ToTimedelta().total_seconds():g}s"

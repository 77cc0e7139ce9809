"""EnvironmentPolicy objects: what they ask for becomes the policy of each Environment that they name."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst_kube.cluster import Object
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Seen, Unacceptable
from catalyst_kube.daemons import Own, differing, is_new, unserved
from catalyst_mesh import moment, span
from google.protobuf.message import Message

RESTING = timedelta(seconds=60)
RECORDING = "recording-required"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FIELDS = ("required_approvals", "soak", "required_score", "change_windows", "compliance")


class Policies:
    """service   the daemon's own PolicyService"""

    def __init__(self, ask: Own, service: Any) -> None:
        self._ask = ask
        self._service = service

    async def reconcile(self, one: Object) -> Seen:
        """Raises Unacceptable."""
        spec, wished = one["spec"], asked_for(one["spec"])
        names = spec.get("appliesTo", {}).get("environments", ())
        held = [await self._held(name) for name in names]
        if is_new(one):
            held = [await self._set(wished, each) for each in held]
        applied = max((moment(each.update_time) for each in held if each.version), default=None)
        return Seen(
            (
                Observed("Ready", bool(names), "Applied" if names else "NoEnvironment"),
                *(differing(_told(wished), _told(each)) for each in held[:1]),
                unserved(*idle(spec, held)),
            ),
            {
                "policyCount": len(wished.compliance),
                **({"appliedAt": applied.strftime("%Y-%m-%dT%H:%M:%SZ")} if applied else {}),
            },
            RESTING,
        )  # fmt: skip - the parts of what was seen

    async def release(self, one: Object) -> None:
        """What was asked for stays asked for."""

    async def _held(self, environment: str) -> pb.Policy:
        request = rpc.GetPolicyRequest(name=f"environments/{environment}/policy")
        held: pb.Policy = await self._ask(self._service.GetPolicy, request)
        return held

    async def _set(self, wished: pb.Policy, held: pb.Policy) -> pb.Policy:
        if _told(wished) == _told(held):
            return held
        wish = pb.Policy()
        wish.CopyFrom(wished)
        wish.name = held.name
        request = rpc.UpdatePolicyRequest(policy=wish, etag=held.etag)
        request.update_mask.paths.extend(_FIELDS)
        changed: pb.Policy = await self._ask(self._service.UpdatePolicy, request)
        return changed


def asked_for(spec: Mapping[str, Any]) -> pb.Policy:
    """The policy that an object asks for: of each gate, of several that say it, the strictest. Raises Unacceptable."""
    promotion: Mapping[str, Any] = spec.get("promotion", {})
    soaks = [_span(rule["duration"]) for rule in _of_type(spec, "soak") if "duration" in rule]
    scores = [rule["minScore"] for rule in _of_type(spec, "re-score-gate")]
    approvals = [rule["minApprovals"] for rule in _of_type(spec, "pr-required")]
    return pb.Policy(
        required_approvals=max(promotion.get("requiredApprovers", 0), *approvals, 0),
        soak=span(max(timedelta(hours=promotion.get("soakHours", 0)), *soaks, timedelta())),
        required_score=max(promotion.get("requiredComplianceScore", 0), *scores, 0),
        change_windows=[_window(rule) for rule in _of_type(spec, "change-window")],
        compliance=_compliance(spec.get("compliance", {})),
    )


def idle(spec: Mapping[str, Any], held: Sequence[pb.Policy]) -> tuple[dict[str, Any], list[str]]:
    """What may have no effect, and the names of it: rules that no cluster can be given yet, and recordings."""
    unrendered = [f"compliance {name}" for name in next((one.unrendered for one in held), ())]
    told = {"recording-required": _of_type(spec, "recording-required"), **dict.fromkeys(unrendered, True)}
    return told, list(told)


def _compliance(told: Mapping[str, Any]) -> list[pb.Policy.ComplianceRule]:
    """Each name that has a weight or a mode, in the order in which a policy keeps them."""
    kind, weights, modes = pb.Policy.ComplianceRule, told.get("weights", {}), told.get("modes", {})
    return [
        kind(
            name=name,
            mode=kind.Mode.Value(f"MODE_{modes.get(name, 'permissive').upper()}"),
            scope=kind.Scope.Value(f"SCOPE_{weights.get(name, {}).get('scope', 'all').upper()}"),
            weight=weights.get(name, {}).get("weight", 0),
        )
        for name in sorted({*weights, *modes})
    ]  # fmt: skip - a table


def _of_type(spec: Mapping[str, Any], type: str) -> Sequence[Mapping[str, Any]]:
    return [rule for rule in spec.get("rules", ()) if rule["type"] == type]


def _window(rule: Mapping[str, Any]) -> pb.Policy.ChangeWindow:
    """A window that begins once a day, on days of the week: that much of cron a policy can say. Raises Unacceptable."""
    found = re.fullmatch(r"([0-5]?\d) ([01]?\d|2[0-3]) \* \* (\*|[0-7](?:[-,][0-7])*)", rule["cron"].strip())
    if not found:
        raise Unacceptable(
            "CronNotServed", f"{rule['cron']!r}: a window begins at a minute, an hour and days of the week"
        )
    minute, hour, days = found.groups()
    return pb.Policy.ChangeWindow(
        weekdays=_weekdays(days), start=f"{int(hour):02}:{int(minute):02}", duration=span(_span(rule["duration"]))
    )


def _weekdays(days: str) -> list[int]:
    """Days as a policy counts them, Monday 1 to Sunday 7; cron has Sunday as 0 too."""
    if days == "*":
        return list(range(1, 8))
    wanted: set[int] = set()
    for part in days.split(","):
        first, _, last = part.partition("-")
        wanted |= {day or 7 for day in range(int(first), int(last or first) + 1)}
    return sorted(wanted)


def _span(text: str) -> timedelta:
    return timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])


def _told(policy: Message) -> dict[str, str]:
    return {name: str(getattr(policy, name)) for name in _FIELDS}

"""Gates: what waits for a person's word before a run goes on, and whose word counts.

Invariants
  prod      in production taking away, replacing and losing data always wait, and never for the requester alone;
  named     any other gate is there because `spec.approvals` names it; a repair always waits;
  refusing  may also the requester: saying no takes nothing away.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalyst_sdk import Code, Refused

from .wishes import Approval, Document

DESTROY, REPLACE, DATA_LOSS, REPAIR, SPEND = "destroy", "replace", "data_loss", "repair", "spend"
PREFIX = "approve."
"""Steps that wait at a gate are called so, with the kind of the gate behind it."""
REJECTED = "GATE_REJECTED"
_IN_PROD = (DESTROY, REPLACE, DATA_LOSS)
_USUAL = ("security-officer",)


class GateNotOpen(Refused):
    reason, message = "GATE_NOT_OPEN", "{step} waits for nobody's word: {why}"


class GateSelfApproval(Refused):
    code, reason = Code.PERMISSION_DENIED, "GATE_SELF_APPROVAL"
    message = "{subject} asked for this run; {gate} waits for a second person"


class GateNotApprover(Refused):
    code, reason = Code.PERMISSION_DENIED, "GATE_NOT_APPROVER"
    message = "{subject} may not answer for {gate}; it waits for {roles}"


@dataclass(frozen=True, slots=True)
class Gate:
    """One approval that a run waits for."""

    kind: str
    message: str
    roles: tuple[str, ...]
    principals: tuple[str, ...]
    second_person: bool

    @property
    def step(self) -> str:
        """Id of the step that waits."""
        return f"{PREFIX}{self.kind}"

    def plain(self) -> dict[str, Any]:
        """In the contract's form, and as the input of a run keeps it."""
        return {
            "kind": self.kind, "step": self.step, "message": self.message, "roles": list(self.roles),
            "principals": list(self.principals), "second_person": self.second_person, "state": "STATE_PENDING",
        }  # fmt: skip


def wanted(asked: Mapping[str, str], document: Document, approvals: Sequence[Approval]) -> tuple[Gate, ...]:
    """The gates of a plan. `asked` holds, by kind, what a person would be asked."""
    return tuple(_gates(asked, is_prod=is_prod(document), named={row.gate: row for row in approvals}))


def is_prod(document: Document) -> bool:
    """Whether any cluster of the spec serves production."""
    return any(cluster.get("env_type") == "prod" for cluster in document.get("clusters", ()))


def demand_approver(gate: Mapping[str, Any], *, subject: str, requester: str, holds_role: bool) -> None:
    """Whether this person may open it. Raises GateSelfApproval, GateNotApprover.

    holds_role   one of the gate's roles, over the whole or in the Sovereign's Organization
    """
    if gate["second_person"] and subject == requester:
        raise GateSelfApproval(subject=subject, gate=gate["kind"])
    _demand_named(gate, subject, holds_role=holds_role)


def demand_refuser(gate: Mapping[str, Any], *, subject: str, requester: str, holds_role: bool) -> None:
    """Whether this person may shut it. Raises GateNotApprover."""
    if subject != requester:
        _demand_named(gate, subject, holds_role=holds_role)


def _demand_named(gate: Mapping[str, Any], subject: str, *, holds_role: bool) -> None:
    if subject not in gate["principals"] and not holds_role:
        named = ", ".join([*gate["roles"], *gate["principals"]])
        raise GateNotApprover(subject=subject, gate=gate["kind"], roles=named)


def _gates(asked: Mapping[str, str], *, is_prod: bool, named: Mapping[str, Approval]) -> Iterator[Gate]:
    for kind, message in asked.items():
        row = named.get(kind) or named.get("*")
        guarded = is_prod and kind in _IN_PROD
        if row or guarded or kind == REPAIR:
            roles = row.roles if row else _USUAL
            yield Gate(kind, message, roles, row.principals if row else (), second_person=guarded)

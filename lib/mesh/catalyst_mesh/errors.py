"""Between refusals and gRPC statuses: one place turns the one into the other, both ways (AIP-193)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
from catalyst_sdk import Code, Refused, Violation
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from .http_statuses import http_status

DOMAIN = "catalyst"
DETAILS_KEY = "grpc-status-details-bin"

ROOM = 4096
"""Bytes of violations in one status: gRPC refuses trailing metadata above 8 KiB, and the caller would see nothing at all."""
LONGEST = 600
"""Characters of a message or a value in a status."""
NAMED = 12
"""Fields that the sentence names; all are in the details."""

PASSING = (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED)
"""Codes that a caller may try again after a pause."""


class InvalidRequest(Refused):
    """Fields of a request that are wrong in any state, all at once."""

    code, reason = Code.INVALID_ARGUMENT, "REQUEST_INVALID"
    message = "{count} field(s) of the request are wrong: {fields}"

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        names = list(dict.fromkeys(v.field or "(request)" for v in violations))
        fields = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        super().__init__(violations=violations, count=len(violations), fields=fields)


class Unauthenticated(Refused):
    code, reason, message = Code.UNAUTHENTICATED, "TOKEN_REJECTED", "the caller's token was not accepted: {why}"


class DeadlineRequired(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "DEADLINE_REQUIRED", "a call inside the mesh states its deadline"


class StoreUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "STORE_UNAVAILABLE", "the database does not answer; nothing was changed"


class PluginUnavailable(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PLUGIN_UNAVAILABLE"
    message = "plugin {plugin} is not available: {why}"


class PeerUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "PEER_UNAVAILABLE", "{peer} does not answer; try again"


def to_status(refusal: Refused) -> status_pb2.Status:
    """The status with exactly one ErrorInfo, and BadRequest, PreconditionFailure, RetryInfo or Help where they apply."""
    status = status_pb2.Status(code=refusal.code.value, message=_short(refusal.sentence))
    metadata = {name: _short(value) for name, value in refusal.metadata.items()}
    _pack(status, error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=metadata))
    violations = _fitting(refusal.violations or _only(refusal))
    if violations and refusal.code is Code.INVALID_ARGUMENT:
        wrong = error_details_pb2.BadRequest()
        for v in violations:
            wrong.field_violations.add(field=v.field, description=v.description, reason=v.rule)
        _pack(status, wrong)
    elif violations:
        unmet = error_details_pb2.PreconditionFailure()
        for v in violations:
            unmet.violations.add(type=v.rule or refusal.reason, subject=v.field, description=v.description)
        _pack(status, unmet)
    if refusal.code in PASSING:
        _pack(status, _pause_or_quota(refusal))
    if refusal.help_url:
        _pack(status, error_details_pb2.Help(links=[error_details_pb2.Help.Link(url=refusal.help_url)]))
    return status


def _pause_or_quota(refusal: Refused) -> object:
    if refusal.retry_after is None:
        limit = error_details_pb2.QuotaFailure.Violation(subject=refusal.reason, description=_short(refusal.sentence))
        return error_details_pb2.QuotaFailure(violations=[limit])
    pause = error_details_pb2.RetryInfo()
    pause.retry_delay.FromTimedelta(refusal.retry_after)
    return pause


def _only(refusal: Refused) -> tuple[Violation, ...]:
    return (Violation(refusal.field, refusal.sentence, refusal.reason),) if refusal.field else ()


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _fitting(violations: tuple[Violation, ...]) -> list[Violation]:
    """As many as there is room for; where some are left out, the last one says how many."""
    kept: list[Violation] = []
    room = ROOM
    for v in violations:
        room -= len(v.field.encode()) + len(_short(v.description).encode()) + len(v.rule.encode()) + 8
        if room < 0:
            left = len(violations) - len(kept)
            return [*kept, Violation("", f"{left} more violations are not shown", "violations.more")]
        kept.append(Violation(v.field, _short(v.description), v.rule))
    return kept


@dataclass(frozen=True, slots=True)
class Explained:
    """A status of another daemon, read back: what a client shows or decides on."""

    code: str
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    retry_after: timedelta | None = None

    @property
    def http_status(self) -> int:
        """Status by the table of codes and cases."""
        return http_status(self.code, self.reason)


class CallFailed(grpc.aio.AioRpcError):
    """A call of ours that another daemon refused, or that nobody answered.

    `reason` is what to decide on: `NAME_TAKEN`, say; empty where the other side is not one of our daemons or none
    answered, and then `code()` says how it ended.
    """

    @property
    def why(self) -> Explained:
        """The refusal with reason, sentence, metadata and violations."""
        return explain(self)

    @property
    def reason(self) -> str:
        """Reason of the refusal, UPPER_SNAKE."""
        return self.why.reason

    @property
    def metadata(self) -> Mapping[str, str]:
        """The values of the sentence."""
        return self.why.metadata

    def __str__(self) -> str:
        return f"{self.why.reason or self.why.code}: {self.why.message}"


def explain(error: grpc.RpcError) -> Explained:
    """Read the status that a call ended with."""
    code = error.code().name if error.code() else "INTERNAL"
    return explain_status(_status_of(error) or status_pb2.Status(code=0, message=error.details() or ""), code)


def explain_status(status: status_pb2.Status, code: str = "") -> Explained:
    """Read a status that came by another way, such as the error of an Operation."""
    info, pause = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    violations: list[Violation] = []
    retry_after = None
    for detail in status.details:
        if detail.Unpack(info):
            continue
        if detail.Unpack(pause):
            retry_after = pause.retry_delay.ToTimedelta()
        violations += _violations(detail)
    name = code or code_pb2.Code.Name(status.code)
    return Explained(name, info.reason, status.message, dict(info.metadata), tuple(violations), retry_after)


def _violations(detail: any_pb2.Any) -> list[Violation]:
    wrong, unmet = error_details_pb2.BadRequest(), error_details_pb2.PreconditionFailure()
    if detail.Unpack(wrong):
        return [Violation(v.field, v.description, v.reason) for v in wrong.field_violations]
    if detail.Unpack(unmet):
        return [Violation(v.subject, v.description, v.type) for v in unmet.violations]
    return []


def _status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == DETAILS_KEY:
            return status_pb2.Status.FromString(value)
    return None


def _pack(status: status_pb2.Status, detail: object) -> None:
    status.details.add().Pack(detail)

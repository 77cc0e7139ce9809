"""Errors as people's tools expect them over HTTP: RFC 9457 problem details, with the reason and metadata of the mesh."""

import json
from collections.abc import Mapping
from typing import Any

from catalyst_mesh.errors import Explained
from catalyst_sdk import Refused

MEDIA_TYPE = "application/problem+json"

BY_REASON: Mapping[str, int] = {
    "BODY_INVALID": 400,
    "BODY_TOO_LARGE": 413,
    "MEDIA_TYPE_UNSUPPORTED": 415,
    "METHOD_NOT_ALLOWED": 405,
    # In the way: held, committed, in use, not empty, foreign.
    "NAME_QUARANTINED": 409,
    "ALREADY_COMMITTED": 409,
    "POOL_NOT_EMPTY": 409,
    "FOREIGN_ZONE": 409,
    "PARENT_OCCLUDED": 409,
    "ZONE_DELEGATED": 409,
    "IN_USE": 409,
    "CREDENTIAL_IN_USE": 409,
    "RUN_TERMINAL": 409,
    "RESERVATION_EXPIRED": 410,
    "PLAN_EXPIRED": 410,
    "QUOTE_EXPIRED": 410,
    "ETAG_MISMATCH": 412,
    "REGISTRAR_UNAVAILABLE": 502,
    "REGISTRAR_PROTOCOL_MISMATCH": 502,
}  # fmt: skip - one sort of answer a line
"""Reasons that answer another status than their code's first one (conventions, section 2)."""


def status_of(problem: Explained) -> int:
    """HTTP status of a refusal."""
    return BY_REASON.get(problem.reason, problem.http_status)


def of_refusal(refusal: Refused) -> Explained:
    """A refusal of the gateway's own."""
    return Explained(refusal.code.name, refusal.reason, refusal.sentence, refusal.metadata, tuple(refusal.violations))


def render(problem: Explained, trace_id: str, status: int | None = None) -> bytes:
    """The body of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:catalyst:problem:{problem.reason or problem.code}",
        "title": (problem.reason or problem.code).replace("_", " ").capitalize(),
        "status": status or status_of(problem),
        "detail": problem.message,
        "code": problem.code,
        "reason": problem.reason,
        "metadata": dict(problem.metadata),
        "violations": [{"field": v.field, "description": v.description, "rule": v.rule} for v in problem.violations],
        "traceId": trace_id,
    }
    return json.dumps(body).encode()

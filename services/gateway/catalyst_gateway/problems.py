"""Errors as people's tools expect them over HTTP: RFC 9457 problem details, with the reason and metadata of the mesh."""

import json
import math
from collections.abc import Callable
from typing import Any

from catalyst_mesh.errors import Explained, explain_status, to_status
from catalyst_sdk import Refused

MEDIA_TYPE = "application/problem+json"


def of_refusal(refusal: Refused) -> Explained:
    """A refusal of the gateway's own."""
    return explain_status(to_status(refusal))


def headers_of(problem: Explained) -> dict[str, str]:
    """`Retry-After` in whole seconds (RFC 9110, section 10.2.3), where waiting helps."""
    if problem.retry_after is None:
        return {}
    return {"Retry-After": str(max(1, math.ceil(problem.retry_after.total_seconds())))}


def _nowhere(_: str) -> str:
    return ""


def render(
    problem: Explained, trace_id: str, status: int | None = None, *, pointer: Callable[[str], str] = _nowhere
) -> bytes:
    """The body of a problem.

    pointer   where in the body that was sent a field of the contract stands, as `#/…`; empty: not there
    """
    body: dict[str, Any] = {
        "type": f"urn:catalyst:problem:{problem.reason or problem.code}",
        "title": (problem.reason or problem.code).replace("_", " ").capitalize(),
        "status": status or problem.http_status,
        "detail": problem.message,
        "code": problem.code,
        "reason": problem.reason,
        "metadata": dict(problem.metadata),
        "violations": [
            {"field": v.field, "description": v.description, "rule": v.rule}
            | ({"pointer": there} if (there := pointer(v.field)) else {})
            for v in problem.violations
        ],
        "traceId": trace_id,
    }
    return json.dumps(body).encode()

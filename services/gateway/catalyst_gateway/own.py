"""Paths that the gateway answers itself, as the description shows them."""

from .bodies import Field
from .names import Path

PATHS = (
    Path("GET", "/v1/stream", "events", 200, (), ("topics", "cursor")),
    Path(
        "GET",
        "/v1/audit",
        "audit",
        200,
        (),
        ("subject", "organization", "traceId", "reason", "verb", "pageSize", "pageToken"),
    ),
    Path("GET", "/v1/search", "search", 200, (), ("q", "pageSize", "pageToken")),
    Path("GET", "/v1/environments/{environment}/state", "state", 200, (), ("kinds", "pageSize", "pageToken")),
    Path("GET", "/v1/plugins", "plugins"),
    Path("POST", "/v1/projector:rebuild", "rebuild", 202),
    Path("GET", "/v1/operations/{operation}", "operation"),
    Path("POST", "/v1/operations/{operation}:cancel", "cancel_operation"),
    Path("POST", "/v1/operations/{operation}:retry", "retry_operation"),
    Path(
        "POST",
        "/graphql",
        "query",
        200,
        (Field("query"), Field("id"), Field("variables", dict), Field("operationName"), Field("extensions", dict)),
    ),
    Path("GET", "/graphql", "kept_query", 200, (), ("id", "variables")),
)  # fmt: skip - a path a row

"""Queries as clients write them, before they are matched with a contract."""

import re
from typing import Any

from litestar import Request

_NAMES = re.compile(r"/v1/pools/[^/]+/allocations")
_STATE = re.compile(r"[A-Za-z]{1,32}")


def of(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """The parameters; of a list of names, `state=active` is a filter."""
    items = list(request.query_params.multi_items())
    if request.method != "GET" or not _NAMES.fullmatch(request.url.path):
        return items
    states = [value for name, value in items if name == "state" and _STATE.fullmatch(value)]
    rest = [item for item in items if item[0] != "state" or item[1] not in states]
    if not states:
        return rest
    given = [value for name, value in rest if name == "filter" and value]
    terms = [*given, *(f"state = {state.upper()}" for state in states)]
    return [*(item for item in rest if item[0] != "filter"), ("filter", " AND ".join(terms))]

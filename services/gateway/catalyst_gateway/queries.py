"""Queries as clients write them, before they are matched with a contract."""

import re
from collections.abc import Mapping
from typing import Any

from catalyst_mesh.paging import PageSizeInvalid
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


_SIZE = re.compile(r"-?[0-9]{1,9}")


def page_size(query: Mapping[str, str]) -> int:
    """`pageSize`; 0 where there is none. Raises PageSizeInvalid for what is no number."""
    text = query.get("pageSize", "")
    if text and not _SIZE.fullmatch(text):
        raise PageSizeInvalid(page_size=text[:20])
    return int(text or 0)

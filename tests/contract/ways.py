"""The ways in over one thing that somebody owns: its path of REST, and every page of the console that is named after it."""

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import httpx
from catalyst_gateway.app import services
from catalyst_gateway.console.index import PAGES
from catalyst_gateway.routes import Route, Routes
from google.protobuf import json_format
from google.protobuf.message import Message

from .owned import Owned

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
_VARIABLE = re.compile(r"\{([a-z_.]+)(?:=[^}]*)?\}")
_ONE_TIME = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:[\d.]+)?Z?")
"""Traces and moments: no two answers have the same."""


@cache
def _routes() -> Mapping[str, Route]:
    """The way to look at what a method reads, by its path on the wire."""
    return {route.rpc: route for route in reversed(Routes(services()).all) if route.verb == "GET"}


def path_of(method: str, request: Message) -> str:
    """Where REST reads what `request` asks for; empty where it does not."""
    route = _routes().get(f"/{method}")
    if route is None or route.method.server_streaming:
        return ""
    shown: dict[str, Any] = json_format.MessageToDict(request, preserving_proto_field_name=True)
    path = _VARIABLE.sub(lambda found: _field(request, found[1]), route.template)
    query = {
        name: value for name, value in shown.items() if name not in route.variables and isinstance(value, str | bool)
    }
    return f"{path}?{urlencode(query)}" if query else path


def _field(request: Any, dotted: str) -> str:
    for name in dotted.split("."):
        request = getattr(request, name)
    return str(request)


def pages_of(name: str) -> Iterator[str]:
    """Pages of the console about a thing or a part of it that has no name of its own."""
    for page in PAGES:
        if page.verb != "GET" or page.is_open or page.path.endswith(":path}"):
            continue
        words, parts = page.path.removeprefix("/console/").split("/"), name.split("/")
        matched, rest = words[: len(parts)], words[len(parts) :]
        is_its = all(word in (part, "*") for word, part in zip(map(_open, matched), parts, strict=False))
        if is_its and len(matched) == len(parts) and not any(word.startswith("{") for word in rest):
            yield "/".join(["/console", name, *rest])


def _open(word: str) -> str:
    return "*" if word.startswith("{") else word


async def told_too_much(
    http: httpx.AsyncClient, method: str, owned: Owned, headers: Mapping[str, str], *, whole: bool
) -> list[str]:
    """What these ways tell to somebody who is not to know of it.

    whole   whether the refusal is also to be that of what never was, or, of a list, only what it lists is looked at
    """
    request = owned.foreign or owned.request
    never = type(request).FromString(owned.of_none())
    paths = [(path_of(method, request), path_of(method, never))] if path_of(method, request) else []
    names = [getattr(request, field, "") for field in ("name", "parent")]
    pages = [page for name in names if name and owned.mark in name for page in pages_of(name)]
    paths += [(page, page.replace(owned.mark, owned.never)) for page in (pages if LONG else islice(pages, 2))]
    return [
        why for there, nowhere in paths if (why := await _compared(http, there, nowhere, owned, headers, whole=whole))
    ]


async def _compared(
    http: httpx.AsyncClient, there: str, nowhere: str, owned: Owned, headers: Mapping[str, str], *, whole: bool
) -> str:
    found = await http.get(there, headers=headers)
    if not whole:
        told = found.text.replace(there.removeprefix("/console/"), "")
        return f"{there} tells of it" if found.status_code == 200 and owned.mark in told else ""
    none = await http.get(nowhere, headers=headers)
    if there.startswith("/v1/") and found.status_code == 200:
        return f"{there} answers"
    one, other = _alike(found, owned), _alike(none, owned)
    if one != other:
        return f"{there} differs from {nowhere}: {'; '.join(sorted({*one} ^ {*other}))[:2000]}"
    return ""


def _alike(answer: httpx.Response, owned: Owned) -> list[str]:
    """Status and lines of an answer, without what no two have the same."""
    text = _ONE_TIME.sub("", answer.text.replace(owned.mark, owned.never))
    return [str(answer.status_code), *text.splitlines()]

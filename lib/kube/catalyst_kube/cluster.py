"""An API server as controllers need it: lists, watches that say when they broke, server-side apply, status, finalizers.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ and …/server-side-apply/.
"""

import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .kind import Kind, Scope

Object = Mapping[str, Any]
PAGE = 500
"""Objects in one answer of a list."""
CONNECTIONS = 20
"""At most, to one API server: as many as all controllers of a daemon have in hand, and a watch each."""
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"


class ClusterError(Exception):
    """What an API server would not do."""


class Expired(ClusterError):
    """The point from which a watch was to go on is forgotten (410): list again."""


class Conflict(ClusterError):
    """Somebody else changed the object, or owns the field (409): look again, decide again."""


class Absent(ClusterError):
    """There is no such object, or no such kind (404)."""


class Refused(ClusterError):
    """The object is wrong, or this account may not (4xx): the same again would be refused again."""


class Unreachable(ClusterError):
    """No answer, or 429 or 5xx: later it may be another."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change that a watch told: ADDED, MODIFIED or DELETED, with the object after it."""

    type: str
    object: Object


def key_of(one: Object) -> tuple[str, str]:
    """Namespace and name; the namespace is empty where the kind has none."""
    return one["metadata"].get("namespace", ""), one["metadata"]["name"]


def served_at(url: str, ca: Path | None) -> httpx.AsyncClient:
    """A client for the API server at `url`, whose certificate those in `ca` vouch for; None: those of the system."""
    secure = ssl.create_default_context(cafile=str(ca) if ca else None)
    return httpx.AsyncClient(
        base_url=url, verify=secure, trust_env=False, limits=httpx.Limits(max_connections=CONNECTIONS)
    )


class Cluster:
    """One API server.

    http     client with its address and certificates; timeouts are set per call
    token    gives the account's token, which somebody else renews
    manager  field manager under which everything is applied; its fields are ours and no others
    """

    def __init__(self, http: httpx.AsyncClient, token: Callable[[], str], manager: str) -> None:
        self._http = http
        self._token = token
        self._manager = manager

    async def list(self, kind: Kind, namespace: str = "") -> tuple[Sequence[Object], str]:
        """All objects of a kind, or those of one namespace, and the version from which a watch goes on. Raises ClusterError."""
        found: list[Object] = []
        query = {"limit": str(PAGE)}
        while True:
            answer = await self._ask("GET", place(kind, namespace), params=query)
            found += answer["items"]
            if not (more := answer["metadata"].get("continue")):
                return found, str(answer["metadata"]["resourceVersion"])
            query["continue"] = more

    async def watch(self, kind: Kind, since: str, *, seconds: float) -> AsyncIterator[Event]:
        """What changes after `since`; ends after some `seconds`, so that a dead connection is noticed. Raises ClusterError."""
        query = {
            "watch": "1",
            "resourceVersion": since,
            "timeoutSeconds": str(int(seconds)),
            "allowWatchBookmarks": "true",
        }
        timeout = httpx.Timeout(10.0, read=seconds + 15)
        try:
            async with self._http.stream(
                "GET", place(kind), params=query, headers=self._headers(), timeout=timeout
            ) as answer:  # fmt: skip - one call
                if answer.status_code >= 400:
                    await answer.aread()
                    raise _error(answer)
                async for line in answer.aiter_lines():
                    if line:
                        yield _event(json.loads(line))
        except httpx.HTTPError as error:
            raise Unreachable(f"the watch of {kind.plural} broke: {type(error).__name__}") from error

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """One object. Raises Absent, ClusterError."""
        answer: Object = await self._ask("GET", place(kind, namespace, name))
        return answer

    async def apply(self, kind: Kind, namespace: str, name: str, fields: Mapping[str, Any]) -> Object:
        """Make these fields ours and what they say; those of others stay. Raises Conflict where others own them, ClusterError."""
        return await self._apply(place(kind, namespace, name), kind, name, fields)

    async def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Take an object away; one that has gone is well. Raises ClusterError."""
        with suppress(Absent):
            await self._ask("DELETE", place(kind, namespace, name))

    async def note(self, event: Mapping[str, Any]) -> None:
        """Keep an event (events.k8s.io/v1); one of its name that is there already says the same. Raises ClusterError."""
        with suppress(Conflict):
            path = f"/apis/events.k8s.io/v1/namespaces/{event['metadata']['namespace']}/events"
            await self._ask("POST", path, content=json.dumps(event), media="application/json")

    async def apply_status(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any]) -> Object:
        """The same of `status`, which nobody else writes. Raises Absent, ClusterError."""
        return await self._apply(f"{place(kind, namespace, name)}/status", kind, name, {"status": status}, force=True)

    async def set_finalizers(self, kind: Kind, one: Object, finalizers: Sequence[str]) -> Object:
        """Which finalizers an object has, if it is still as it was read. Raises Conflict, Absent, ClusterError."""
        namespace, name = key_of(one)
        change = {"finalizers": list(finalizers), "resourceVersion": one["metadata"]["resourceVersion"]}
        answer: Object = await self._ask(
            "PATCH", place(kind, namespace, name), content=json.dumps({"metadata": change}), media=_MERGE
        )
        return answer

    async def _apply(
        self, path: str, kind: Kind, name: str, fields: Mapping[str, Any], *, force: bool = False
    ) -> Object:  # fmt: skip
        metadata = {"name": name, **fields.get("metadata", {})}
        whole = spoken({"apiVersion": kind.api_version, "kind": kind.name, **fields, "metadata": metadata})
        query = {"fieldManager": self._manager, **({"force": "true"} if force else {})}
        answer: Object = await self._ask("PATCH", path, content=json.dumps(whole), media=_APPLY, params=query)
        return answer

    async def _ask(
        self,
        verb: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: str | None = None,
        media: str = "",
    ) -> Any:
        try:
            answer = await self._http.request(
                verb, path, params=params, content=content, headers=self._headers(media), timeout=20.0
            )  # fmt: skip - one call
        except httpx.HTTPError as error:
            raise Unreachable(f"{verb} {path}: {type(error).__name__}") from error
        if answer.status_code >= 400:
            raise _error(answer)
        return answer.json()

    def _headers(self, media: str = "") -> dict[str, str]:
        return {"authorization": f"Bearer {self._token()}", **({"content-type": media} if media else {})}


def spoken(value: Any) -> Any:
    """A document without what is not said: an empty text comes out of an apply of 1.20 as null, which no field may be."""
    if isinstance(value, Mapping):
        return {key: spoken(each) for key, each in value.items() if each not in (None, "")}
    return [spoken(each) for each in value] if isinstance(value, list | tuple) else value


def place(kind: Kind, namespace: str = "", name: str = "") -> str:
    """Path of an object, or of all of a kind in all namespaces."""
    where = f"/namespaces/{namespace}" if namespace and kind.scope is Scope.NAMESPACED else ""
    return f"/apis/{kind.api_version}{where}/{kind.plural}" + (f"/{name}" if name else "")


def _event(told: Mapping[str, Any]) -> Event:
    if told["type"] == "ERROR":
        raise Expired(told["object"].get("message", "the watch ended"))
    return Event(told["type"], told["object"])


_ERRORS: Mapping[int, type[ClusterError]] = {404: Absent, 409: Conflict, 410: Expired, 429: Unreachable}


def _error(answer: httpx.Response) -> ClusterError:
    try:
        said = str(answer.json().get("message", ""))
    except ValueError:
        said = ""
    usual = Unreachable if answer.status_code >= 500 else Refused
    return _ERRORS.get(answer.status_code, usual)(f"{answer.status_code}: {said}")

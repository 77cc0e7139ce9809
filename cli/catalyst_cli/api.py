"""Calls of the gateway's REST API, with failures as people should read them."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from .context import Context
from .failures import EXIT_CODES, Failure
from .remedies import ASK_ANOTHER, remedy

PATIENCE = 30.0
"""Seconds for a call."""
RETRIES = (0.1, 0.3, 0.6)
"""Pauses before a call is made again that met no living gateway."""
OUTRUN = 10
"""Readings of a resource that its workers may outrun."""


class Api:
    """One server, as one caller."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # Without TLS nobody is to be believed, and to read all authorities of the world takes 25 ms of each command.
        is_secret = context.server.startswith("https:")
        self._http = httpx.Client(base_url=context.server, timeout=PATIENCE, verify=is_secret)

    @property
    def server(self) -> str:
        """Where it calls."""
        return self._context.server

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read."""
        return self._call("GET", path, params={k: v for k, v in query.items() if v not in (None, "")})

    def post(
        self, path: str, body: dict[str, Any] | None = None, *, once: str = "", query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Write; `once` is the request id, drawn where it is empty and the method takes one.

        query   fields beside the body, where this is the resource alone
        """
        whole = {**(body or {}), **({"requestId": once} if once else {})}
        return self._call("POST", path, json=whole, **({"params": query} if query else {}))

    def patch(self, path: str, body: dict[str, Any], *, query: dict[str, str]) -> dict[str, Any]:
        """Change a resource."""
        return self._call("PATCH", path, json=body, params=query)

    def change(self, path: str, wish: dict[str, Any], mask: Iterable[str], **query: str) -> dict[str, Any]:
        """Change the fields of `mask` in a resource as it stands, whatever a worker notes in it meanwhile. Raises Refused."""
        fields = ",".join(mask)
        return self._as_it_stands(
            path, lambda now: self.patch(path, wish, query={**now, "updateMask": fields, **query})
        )

    def remove(self, path: str, **query: Any) -> dict[str, Any]:
        """Delete a resource as it stands, whatever a worker notes in it meanwhile. Raises Refused."""
        return self._as_it_stands(path, lambda now: self.delete(path, **now, **query))

    def _as_it_stands(self, path: str, write: Callable[[dict[str, str]], dict[str, Any]]) -> dict[str, Any]:
        for _ in range(OUTRUN):
            # One that was refused is not asked again under the same id with other words.
            now = {"etag": self.get(path)["etag"], "requestId": new_request_id()}
            try:
                return write(now)
            except Refused as refused:
                if refused.reason != "ETAG_MISMATCH":
                    raise
        raise Failure(f"{path.removeprefix('/v1/')} changes faster than it can be read", next_step="try again")

    def post_resource(self, path: str, resource: dict[str, Any], **query: Any) -> dict[str, Any]:
        """Create: the resource is the body, and the other fields of the request stand in the query."""
        return self._call("POST", path, json=resource, params=query)

    def delete(self, path: str, **query: Any) -> dict[str, Any]:
        """Delete."""
        return self._call("DELETE", path, params=query)

    def pages(self, path: str, field: str, **query: Any) -> list[dict[str, Any]]:
        """All rows of a list."""
        rows: list[dict[str, Any]] = []
        token = ""
        while True:
            answer = self.get(path, **query, pageToken=token, pageSize=1000)
            rows += answer.get(field, [])
            token = answer.get("nextPageToken", "")
            if not token:
                return rows

    def stream(
        self, path: str, *, last: str = "", silence: float = PATIENCE, **query: Any
    ) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Frames `(id, event, data)` of a stream until it ends, or says nothing for `silence` seconds.

        The caller resumes with `last`. The server says something every 15 seconds, so that a longer silence is a lost
        connection. What the server refuses on the way is raised as Refused; what is only away ends the stream.
        """
        headers = {**self._headers(), **({"Last-Event-ID": last} if last else {})}
        params = {k: v for k, v in query.items() if v not in (None, "")}
        try:
            with self._http.stream(
                "GET", _address(path), params=params, headers=headers, timeout=httpx.Timeout(PATIENCE, read=silence)
            ) as answer:
                if answer.status_code != 200:
                    answer.read()
                    refused = _refused(answer)
                    if refused.exit_code == EXIT_CODES["UNAVAILABLE"]:
                        return  # as a cut connection: whoever reads on comes back
                    raise refused
                for number, event, data in _frames(answer.iter_lines()):
                    if event == "error":
                        refused = _told(data)
                        if refused.exit_code == EXIT_CODES["UNAVAILABLE"]:
                            return
                        raise refused
                    yield number, event, data
        except httpx.TransportError:
            return

    def _call(self, verb: str, path: str, **rest: Any) -> dict[str, Any]:
        try:
            answer = self._asked(verb, path, **rest)
        except httpx.TransportError as error:
            raise Failure(
                f"{self._context.server} does not answer", why=type(error).__name__,
                next_step="is `catalyst dev` running? `catalyst doctor` looks closer", exit_code=6,
            ) from error  # fmt: skip
        if answer.is_success:
            return dict(answer.json()) if answer.content else {}
        raise self._for_two(_refused(answer))

    def _for_two(self, refused: Failure) -> Failure:
        """A refusal of who asked for something and cannot approve it; where one person is two, with how."""
        somebody, begins, command = refused.next_step.partition(ASK_ANOTHER)
        if begins and not somebody and (second := self._context.second()):
            refused.next_step = f"as the second person of this dev: CATALYST_CLI_TOKEN_FILE={second} {command}"
        return refused

    def _asked(self, verb: str, path: str, **rest: Any) -> httpx.Response:
        """The answer; of another replica of the gateway where one died, if the call may be made twice."""
        path = _address(path)
        for pause in RETRIES:
            try:
                return self._http.request(verb, path, headers=self._headers(), **rest)
            except httpx.TransportError as error:
                # Nothing was sent, or it has no effect, or not a second one. Who is silent for that long stays so.
                is_silent = isinstance(error, httpx.ReadTimeout)
                if is_silent or not (isinstance(error, httpx.ConnectError) or verb == "GET" or _is_once(rest)):
                    raise
            time.sleep(pause)
        return self._http.request(verb, path, headers=self._headers(), **rest)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._context.token()}"}


def _address(path: str) -> str:
    """A path whose names came from a person: none of it is a query or a fragment. What is escaped already stays so."""
    return quote(path, safe="/:%@+,;=~*!$&'()")


def _is_once(rest: dict[str, Any]) -> bool:
    """Whether a request, made twice, has one effect."""
    return "requestId" in rest.get("json", ()) or "requestId" in rest.get("params", ())


def new_request_id() -> str:
    """A fresh request id (AIP-155)."""
    return str(uuid4())


def _refused(answer: httpx.Response) -> Failure:
    try:
        problem = answer.json()
        reason, code = problem["reason"], problem["code"]
    except (ValueError, KeyError, TypeError):
        return Failure(f"the server answers {answer.status_code}", why=answer.text[:200])
    if reason == "PATH_NOT_FOUND":
        return _no_name(str(answer.request.url.path), reason)
    details = tuple(f"{v['field']}: {v['description']}" for v in problem.get("violations", ()))
    return Refused(
        reason, problem["detail"], why=reason, next_step=remedy(reason, problem.get("metadata", {})),
        details=details, exit_code=EXIT_CODES.get(code, 1), trace_id=problem.get("traceId", ""),
    )  # fmt: skip


def _told(problem: Mapping[str, Any]) -> "Refused":
    """What a stream said after it had begun."""
    reason, code = str(problem.get("reason", "")), str(problem.get("code", ""))
    details = tuple(f"{v['field']}: {v['description']}" for v in problem.get("violations", ()))
    return Refused(
        reason, str(problem.get("message", "")) or "the stream failed", why=reason,
        next_step=remedy(reason, problem.get("metadata", {})), details=details, exit_code=EXIT_CODES.get(code, 1),
    )  # fmt: skip


def _no_name(path: str, reason: str) -> Failure:
    """The server has no such path, so that something in it was not written as names of its kind are."""
    name = path.removeprefix("/v1/").rpartition(":")[0] or path.removeprefix("/v1/")
    how = "write the whole name, as a list shows it with `-o name`; --help has an example"
    return Refused(reason, f"{name} names nothing of this kind", why=reason, next_step=how, exit_code=2)


class Refused(Failure):
    """The server refused, with a reason."""

    def __init__(self, reason: str, what: str, **rest: Any) -> None:
        super().__init__(what, **rest)
        self.reason = reason


def _frames(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    number, event, data = "", "", ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            number = value
        elif field == "event":
            event = value
        elif field == "data":
            data += value
        elif not line and data:
            yield number, event, json.loads(data)
            event, data = "", ""

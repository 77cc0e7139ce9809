"""The control port: one JSON object a line, one call a connection, opened by a token from a file of mode 0600.

Both ends stand here. What crosses is plain values; a failure comes back as one of the SDK's four errors.
"""

import asyncio
import hmac
import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from catalyst_sdk import Permanent, PluginFailure, Temporary
from catalyst_sdk.dns import Change, RecordSet, ZoneKey, ZoneSpec, ZoneState

from .authority import Authority
from .zones import PROVIDER

TOKEN_FILE = "control.token"  # noqa: S105 - a file's name
_MOST = 8 * 1024 * 1024
"""Octets of one line: a zone of some ten thousand records."""
_PATIENCE = 10.0


def token(folder: Path) -> str:
    """The token of the server in `folder`, drawn at its first start."""
    path = folder / TOKEN_FILE
    with suppress(FileExistsError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text().strip()


class ControlServer:
    """Serves the control port."""

    def __init__(self, authority: Authority, secret: str) -> None:
        self._authority = authority
        self._secret = secret
        self._server: asyncio.Server | None = None
        self._calls: dict[str, Callable[..., Any]] = {
            "get": lambda zone: _plain(authority.get(zone)),
            "create": lambda spec: _plain(authority.create(_spec(spec))),
            "apply": self._apply,
            "delete": authority.delete,
            "names": authority.names,
        }

    async def start(self, host: str, port: int) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=_MOST)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), _PATIENCE)
            writer.write(json.dumps(self._call(line)).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    def _call(self, line: bytes) -> dict[str, Any]:
        try:
            call = json.loads(line)
            if not hmac.compare_digest(str(call.get("token", "")).encode(), self._secret.encode()):
                raise Permanent("CREDENTIALS_REJECTED", "the control token is another one", provider=PROVIDER)
            return {"answer": self._calls[call["call"]](*call.get("args", ()))}
        except Permanent as failure:
            return {"failure": {"reason": failure.reason, "message": failure.message, "metadata": failure.metadata}}
        except (ValueError, KeyError, TypeError) as error:
            return {
                "failure": {"reason": "CALL_INVALID", "message": f"{type(error).__name__}: {error}", "metadata": {}}
            }

    def _apply(self, zone: str, changes: list[Any], revision: int | None, expect: str | None) -> Any:
        wished = tuple(Change(c["name"], c["type"], c["ttl"], tuple(c["records"])) for c in changes)
        return _plain(self._authority.apply(zone, wished, revision, expect))


class ControlClient:
    """Calls the control port."""

    def __init__(self, address: str, folder: Path) -> None:
        host, _, port = address.rpartition(":")
        self._where = host, int(port)
        self._folder = folder

    async def get(self, zone: str) -> ZoneState | None:
        """One zone."""
        answer = await self._call("get", zone)
        return _state(answer) if answer else None

    async def create(self, spec: ZoneSpec) -> ZoneState:
        """Make a zone."""
        return _state(await self._call("create", asdict(spec)))

    async def apply(
        self, zone: str, changes: tuple[Change, ...], revision: int | None, expect: str | None
    ) -> ZoneState:
        """Change a zone."""
        return _state(await self._call("apply", zone, [asdict(c) for c in changes], revision, expect))

    async def delete(self, zone: str, owner: str) -> None:
        """Take a zone away."""
        await self._call("delete", zone, owner)

    async def names(self) -> list[str]:
        """Names of all zones."""
        return list(await self._call("names"))

    async def _call(self, call: str, *args: Any) -> Any:
        try:
            secret = (self._folder / TOKEN_FILE).read_text().strip()
            line = await asyncio.wait_for(self._ask({"token": secret, "call": call, "args": args}), _PATIENCE)
            answer = json.loads(line)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            raise Temporary(
                f"the embedded DNS server does not answer: {type(error).__name__}", provider=PROVIDER
            ) from error
        if "failure" in answer:
            raise _failure(answer["failure"])
        return answer["answer"]

    async def _ask(self, call: dict[str, Any]) -> bytes:
        reader, writer = await asyncio.open_connection(*self._where, limit=_MOST)
        try:
            writer.write(json.dumps(call).encode() + b"\n")
            await writer.drain()
            return await reader.readuntil(b"\n")
        finally:
            writer.close()


def _failure(failure: dict[str, Any]) -> PluginFailure:
    action = {
        "CREDENTIALS_REJECTED": "point the backend's `data` at the folder of the server that `control` names",
        "FOREIGN_ZONE": "release the zone where it was made, or choose another name",
    }.get(failure["reason"], "")
    return Permanent(
        failure["reason"], failure["message"], provider=PROVIDER, user_action=action, **failure["metadata"]
    )


def _plain(state: ZoneState | None) -> dict[str, Any] | None:
    return asdict(state) if state else None


def _spec(raw: dict[str, Any]) -> ZoneSpec:
    return ZoneSpec(
        **{**raw, "name_servers": tuple(raw["name_servers"]), "record_sets": _record_sets(raw["record_sets"])}
    )


def _state(raw: dict[str, Any]) -> ZoneState:
    keys = tuple(ZoneKey(**{**key, "ds": tuple(key["ds"])}) for key in raw["keys"])
    return ZoneState(**{**raw, "record_sets": _record_sets(raw["record_sets"]), "keys": keys})


def _record_sets(raw: list[dict[str, Any]]) -> tuple[RecordSet, ...]:
    return tuple(RecordSet(**{**r, "records": tuple(r["records"])}) for r in raw)

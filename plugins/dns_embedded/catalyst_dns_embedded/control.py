"""The control port: one JSON object a line, opened by a token from a file of mode 0600.

{"token": "…", "call": "apply", "args": {…}}  is answered by  {"answer": …}  or  {"failure": {…}}.
"""

import asyncio
import hmac
import json
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from catalyst_sdk import Permanent, PluginFailure, Temporary
from catalyst_sdk.dns import Capability, KeyOp

from . import wire
from .authority import Authority
from .wire import TOKEN_FILE
from .zones import PROVIDER

CAPABILITIES = frozenset(
    {
        Capability.ZONE_LIFECYCLE,
        Capability.DNSSEC,
        Capability.KEYS,
        Capability.SHARED_KEYS,
        Capability.CDS,
        Capability.ATOMIC_BATCH,
        Capability.COMPARE_AND_SWAP,
        Capability.METADATA,
    }
)
"""What this server can do."""
_IDLE = 60.0
"""Seconds after which a connection without calls is closed."""
_LOG = logging.getLogger(__name__)


def token(folder: Path) -> str:
    """The token of the server in `folder`, drawn at its first start."""
    path = folder / TOKEN_FILE
    if not path.exists():
        drawn = folder / f"{TOKEN_FILE}.new"
        with suppress(FileNotFoundError):
            drawn.unlink()
        fd = os.open(drawn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_hex(32))
        drawn.rename(path)  # a reader finds a whole token or none
    return path.read_text().strip()


class ControlServer:
    """Serves the control port."""

    def __init__(self, authority: Authority, secret: str) -> None:
        self._authority = authority
        self._secret = secret
        self._server: asyncio.Server | None = None
        self._calls: dict[str, Callable[..., Any]] = {
            "probe": lambda: sorted(CAPABILITIES),
            "get": lambda zone: wire.from_state(authority.get(zone)),
            "create": lambda spec: wire.from_state(authority.create(wire.to_spec(spec))),
            "apply": self._apply,
            "delete": self._delete,
            "dnssec": self._dnssec,
        }

    async def start(self, host: str, port: int) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=wire.MOST)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await _line(reader):
                writer.write(json.dumps(self.call(line)).encode() + b"\n")
                async with asyncio.timeout(_IDLE):
                    await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):  # ValueError: a line beyond all measure
            pass
        finally:
            writer.close()

    def call(self, line: bytes) -> dict[str, Any]:
        """The answer to one line."""
        try:
            return {"answer": self._answer(line)}
        except PluginFailure as failure:
            return {"failure": wire.from_failure(failure)}
        except Exception:  # the outermost place: a full disk, or a bug; the server goes on, the caller reads again
            _LOG.exception("a call failed")
            return {"failure": wire.from_failure(Temporary("the server failed", provider=PROVIDER))}

    def _answer(self, line: bytes) -> Any:
        try:
            call = json.loads(line)
            if not hmac.compare_digest(str(call.get("token", "")).encode(), self._secret.encode()):
                raise Permanent(
                    "CREDENTIALS_REJECTED",
                    "the control token is another one",
                    provider=PROVIDER,
                    user_action="point the backend's `data` at the folder of the server that `control` names",
                )
            return self._calls[call["call"]](**call.get("args", {}))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Permanent(
                "CALL_INVALID", f"not understood: {type(error).__name__} {error}", provider=PROVIDER
            ) from error

    def _apply(self, zone: str, changes: list[Mapping[str, Any]], revision: int | None, expect: str | None) -> Any:
        wished = wire.to_changes(changes)
        return wire.from_state(self._authority.apply(zone, wished, revision=revision, expect=expect))

    def _delete(self, zone: str, owner: str, expect: str | None) -> None:
        self._authority.delete(zone, owner=owner, expect=expect)

    def _dnssec(self, zone: str, op: str, tag: int | None, revision: int | None, expect: str | None) -> Any:
        return wire.from_state(
            self._authority.dnssec(zone, KeyOp(op), tag=tag, revision=revision, expect=expect)
        )  # fmt: skip


async def _line(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(_IDLE):
        return await reader.readline()

"""The control port of a running dev: what `catalyst dev cell …`, `region …` and `status` ask of it.

One JSON line a call, opened by a token that only this user can read: `{"token", "call", "args"}` is answered by `{"answer"}`
or `{"refused", "next"}`.
"""

import asyncio
import hmac
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

Calls = Mapping[str, Callable[..., Awaitable[Any]]]
ASKED_WITHIN = 60.0
"""Seconds that a call may take: a region that starts brings up its daemons."""
_IDLE = 10.0


class NotThere(Exception):
    """A part of dev is asked for something that it cannot do; the text says what, `next_step` what would do, `code` of which
    kind it is, in gRPC's words."""

    def __init__(self, what: str, next_step: str = "", code: str = "NOT_FOUND") -> None:
        super().__init__(what)
        self.next_step = next_step
        self.code = code


class ControlServer:
    """Serves the port, one call a connection."""

    def __init__(self, calls: Calls, token: str) -> None:
        self._calls = calls
        self._token = token
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, host, port)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_IDLE):
                line = await reader.readline()
            writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, OSError, ValueError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        asked = json.loads(line)
        if not hmac.compare_digest(str(asked.get("token", "")).encode(), self._token.encode()):
            who = "ask as the user who started dev"
            return {"refused": "the token is another one", "next": who, "code": "PERMISSION_DENIED"}
        call = self._calls.get(asked.get("call", ""))
        if call is None:
            missing = "catalyst dev --regions" if str(asked.get("call")).startswith("region.") else "start it anew"
            return {"refused": f"this dev has nothing for {asked.get('call')!r}", "next": missing}
        try:
            return {"answer": await call(**asked.get("args", {}))}
        except NotThere as absent:
            return {"refused": str(absent), "next": absent.next_step, "code": absent.code}


def ask(address: str, token_file: Path, call: str, **args: Any) -> Any:
    """One call, waited for. Raises NotThere with what dev said, and where it does not answer."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=ASKED_WITHIN) as connection:
            told = {"token": token_file.read_text(), "call": call, "args": args}
            connection.sendall(json.dumps(told).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except OSError as error:
        raise NotThere(f"dev does not answer at {address} ({error})", "catalyst dev", "UNAVAILABLE") from error
    answer: dict[str, Any] = {}
    with suppress(ValueError):
        answer = json.loads(line)
    if "answer" not in answer:
        raise NotThere(
            answer.get("refused", "dev did not answer"),
            answer.get("next", "read dev's own output"),
            answer.get("code", "NOT_FOUND" if answer else "UNAVAILABLE"),
        )
    return answer["answer"]

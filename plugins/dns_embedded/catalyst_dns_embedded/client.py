"""The other end of the control port."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from catalyst_sdk import Temporary

from . import wire
from .zones import PROVIDER

_PATIENCE = 10.0
"""Seconds for one call: also a signed zone of thousands of records is written and signed within."""


class ControlClient:
    """Calls the control port; one connection a call, so that a restarted server needs nothing from us."""

    def __init__(self, address: str, folder: Path) -> None:
        host, _, port = address.rpartition(":")
        self._where = host, int(port)
        self._folder = folder

    async def call(self, name: str, **args: Any) -> Any:
        """The answer. Raises one of the SDK's four errors; Temporary after a time-out means that nobody knows."""
        try:
            secret = (self._folder / wire.TOKEN_FILE).read_text().strip()
            async with asyncio.timeout(_PATIENCE):
                answer = json.loads(await self._ask({"token": secret, "call": name, "args": args}))
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            why = f"the embedded DNS server does not answer: {type(error).__name__}"
            raise Temporary(why, provider=PROVIDER, user_action="start the server, or correct `control`") from error
        if "failure" in answer:
            raise wire.to_failure(answer["failure"])
        return answer["answer"]

    async def _ask(self, call: Mapping[str, Any]) -> bytes:
        reader, writer = await asyncio.open_connection(*self._where, limit=wire.MOST)
        try:
            writer.write(json.dumps(call).encode() + b"\n")
            await writer.drain()
            return await reader.readuntil(b"\n")
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

"""The running `dev --regions` as a drill sees it: where its parts are, what they wrote down, and its control port."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
from catalyst_sdk.traces import Line, merged

from catalyst_cli.dev.control import ask

Address = tuple[str, int]
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class House:
    """What `catalyst dev status` says, and the way to ask for more."""

    status: dict[str, Any]

    async def call(self, call: str, **args: Any) -> dict[str, Any]:
        """One call of the control port. Raises NotThere."""
        token = Path(self.status["control_token_file"])
        return dict(await asyncio.to_thread(ask, self.status["control"], token, call, **args))

    def token(self) -> str:
        """The operator's token, as it is now."""
        return Path(self.status["token_file"]).read_text().strip()

    @property
    def regions(self) -> list[dict[str, Any]]:
        """Every region, as it was when the drill began."""
        return list(self.status["regions"])

    @property
    def demo(self) -> dict[str, Any]:
        """The demonstration: its slot, its name, the port, the authorities."""
        return dict(self.status["demo"])

    @property
    def authorities(self) -> dict[str, Address]:
        """Where the name's authorities answer."""
        return {name: _address(text) for name, text in self.demo["authorities"].items()}

    def trace(self) -> list[Line]:
        """What all agents wrote down until now, in the order in which it happened."""
        files = (Path(region["trace"]) for region in self.regions)
        return merged(file.read_text() for file in files if file.exists())

    async def answers(self) -> dict[str, list[str]]:
        """What each authority answers for the name now; nothing where it does not."""
        return {name: await _ask(self.demo["host"], *address) for name, address in self.authorities.items()}


async def _ask(host: str, address: str, port: int) -> list[str]:
    try:
        answer = await dns.asyncquery.tcp(dns.message.make_query(host, "A"), address, timeout=PATIENCE, port=port)
    except (dns.exception.DNSException, OSError, EOFError):
        return []
    return sorted(str(rdata) for rrset in answer.answer for rdata in rrset)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)

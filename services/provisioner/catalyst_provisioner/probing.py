"""The look from outside: every authoritative server by its own address, then the console at the resolved address."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dns.name
import httpx
from catalyst_sdk.resolver import FAULTS, PATIENCE, Resolver, ask
from dns.rdatatype import RdataType


class ConsoleProbe:
    """Looks for `console.{fqdn}` below one trust anchor."""

    def __init__(self, hints: Path | None, anchor: Path | None) -> None:
        self._hints = hints
        self._anchor = anchor

    async def console(self, fqdn: str, ports: Mapping[str, int]) -> Mapping[str, Any]:
        """What was seen: `address`, `dnssec`, `servers`, `status` (0: nothing answered) and `why`."""
        if self._hints is None or self._anchor is None:
            return {"status": 0, "why": "no authoritative servers are known; set DNS_HINTS and DNS_TRUST_ANCHOR"}
        name = f"console.{fqdn}"
        try:
            found = await Resolver.from_files(self._hints, self._anchor).resolve(name)
            answers = {server: await _addresses(server, name) for server in found.servers}
        except FAULTS as error:
            return {"status": 0, "why": f"{name} was not resolved: {type(error).__name__}"}
        seen: dict[str, Any] = {"name": name, "dnssec": found.secure, "servers": len(answers), "status": 0}
        if not found.secure:
            return seen | {"why": found.why}
        if not found.records or set(answers.values()) != {found.records}:
            return seen | {"why": f"the servers of {found.zone} do not all give the same addresses"}
        scheme = "https" if "https" in ports else "http"
        return seen | await _get(name, found.records[0], scheme, ports.get(scheme, 80))


async def _addresses(server: str, name: str) -> tuple[str, ...]:
    """What one server, `name address:port`, says by itself."""
    answer, _ = await ask(server.rsplit(" ", 1)[1], dns.name.from_text(name), RdataType.A, PATIENCE)
    return tuple(sorted(str(row) for rrset in answer.answer if rrset.rdtype == RdataType.A for row in rrset))


async def _get(name: str, address: str, scheme: str, port: int) -> dict[str, Any]:
    """Ask the resolved address, and no resolver of this machine."""
    seen: dict[str, Any] = {"address": address, "port": port}
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
            answer = await http.get(f"{scheme}://{address}:{port}/", headers={"Host": name})
    except httpx.HTTPError as error:
        return seen | {"status": 0, "why": type(error).__name__}
    return seen | {"status": answer.status_code, "why": ""}


async def answers(address: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True

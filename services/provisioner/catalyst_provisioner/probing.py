"""The look from outside: every authoritative server by its own address, then the console at the resolved address."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.name
import httpx
from catalyst_sdk.resolver import FAULTS, PATIENCE, Resolver, ask
from dns.rdatatype import RdataType


class ConsoleProbe:
    """Looks for `console.{fqdn}` below one trust anchor."""

    def __init__(self, hints: Path | None, anchor: Path | None, bundle: Path | None = None) -> None:
        self._hints = hints
        self._anchor = anchor
        self._bundle = bundle

    async def console(self, fqdn: str, ports: Mapping[str, int]) -> Mapping[str, Any]:
        """What was seen: `address`, `dnssec`, `servers`, `status` (0: nothing answered), `why`, and `tls_until` of HTTPS."""
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
        return seen | await get(name, found.records[0], scheme, ports.get(scheme, 80), self._bundle)


async def _addresses(server: str, name: str) -> tuple[str, ...]:
    """What one server, `name address:port`, says by itself."""
    answer, _ = await ask(server.rsplit(" ", 1)[1], dns.name.from_text(name), RdataType.A, PATIENCE)
    return tuple(sorted(str(row) for rrset in answer.answer if rrset.rdtype == RdataType.A for row in rrset))


async def get(name: str, address: str, scheme: str, port: int, bundle: Path | None = None) -> dict[str, Any]:
    """Ask the resolved address, and no resolver of this machine; over TLS its chain and its name must be right.

    bundle   certificates to check by, PEM; None: those of the system
    """
    seen: dict[str, Any] = {"address": address, "port": port}
    trusting = ssl.create_default_context(cafile=str(bundle) if bundle else None)
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False, verify=trusting) as http:
            # The address is what was resolved; the name is what the certificate is for.
            url, extra = f"{scheme}://{address}:{port}/", {"sni_hostname": name}
            async with http.stream("GET", url, headers={"Host": name}, extensions=extra) as answer:
                seen |= {"status": answer.status_code, "why": ""}
                if scheme == "https":
                    seen["tls_until"] = _until(answer.extensions["network_stream"])
    except httpx.HTTPError as error:
        return seen | {"status": 0, "why": type(error).__name__}
    return seen


def _until(stream: Any) -> str:
    """End of the certificate that was shown."""
    ends = ssl.cert_time_to_seconds(stream.get_extra_info("ssl_object").getpeercert()["notAfter"])
    return datetime.fromtimestamp(ends, UTC).isoformat()


async def answers(address: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True

"""What is wrong with a wish before it is made: every finding at once, and nothing written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from catalyst.pooldomain.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh.errors import explain
from catalyst_sdk import addresses
from google.protobuf import json_format

from . import lookups

Metadata = tuple[tuple[str, str], ...]
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_SLOT = re.compile(r"default|console|[a-z]{4}")
PATIENCE = 14.0


@dataclass
class Report:
    """The answer as it grows."""

    findings: list[dict[str, str]] = field(default_factory=list)
    fqdn: str = ""
    available: bool | None = None
    access: dict[str, Any] | None = None

    def add(self, name: str, reason: str, detail: str) -> None:
        """One thing that is wrong."""
        self.findings.append({"field": name, "reason": reason, "detail": detail})

    def to_json(self) -> dict[str, Any]:
        """As it is answered."""
        return {
            "valid": not self.findings, "findings": self.findings, "fqdn": self.fqdn, "available": self.available,
            "access": self.access,
        }  # fmt: skip


class Findings:
    """Asks whoever knows."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._names = service_pb2_grpc.AllocationServiceStub(channel)
        self._pools = service_pb2_grpc.PoolServiceStub(channel)
        self._registrars = service_pb2_grpc.RegistrarServiceStub(channel)

    async def of(self, fields: Mapping[str, Any], metadata: Metadata) -> dict[str, Any]:
        """The report on any of: a name, targets, a registrar's access, name servers, where a name leads."""
        report = Report()
        if "poolDomain" in fields or "subdomain" in fields:
            await self._name(report, fields, metadata)
        if "targets" in fields:
            _targets(report, fields["targets"], allow_private=await self._allows_private(fields, metadata))
        if "domain" in fields or "registrar" in fields or "pointsTo" in fields:
            _domain(report, fields)
        if "nameservers" in fields:
            _name_servers(report, str(fields.get("domain", "")), fields["nameservers"])
        if "pointsTo" in fields:
            await _pointing(report, fields)
        if "registrar" in fields and "domain" in fields and not report.findings:
            await self._access(report, fields, metadata)
        if not fields:
            report.add("", "BODY_INVALID", "say what is to be validated")
        return report.to_json()

    async def _name(self, report: Report, fields: Mapping[str, Any], metadata: Metadata) -> None:
        missing = [name for name in ("poolDomain", "subdomain") if not fields.get(name)]
        for name in missing:
            report.add(name, "LABEL_INVALID" if name == "subdomain" else "POOL_NOT_FOUND", "it is needed")
        if missing:
            return
        wish = service_pb2.CheckNameRequest(parent=f"pools/{fields['poolDomain'].lower()}", label=fields["subdomain"])
        try:
            answer = await self._names.CheckName(wish, timeout=PATIENCE, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            report.available = False
            _told(report, "poolDomain", error)
            return
        report.available, report.fqdn = answer.available, answer.fqdn
        if not answer.available:
            place = "poolDomain" if answer.reason == "POOL_NOT_FOUND" else "subdomain"
            report.add(place, answer.reason, answer.detail)

    async def _allows_private(self, fields: Mapping[str, Any], metadata: Metadata) -> bool:
        """Whether the pool, where one is named, takes addresses that the world cannot reach."""
        if not fields.get("poolDomain"):
            return False
        wish = service_pb2.GetPoolRequest(name=f"pools/{fields['poolDomain'].lower()}")
        try:
            return (await self._pools.GetPool(wish, timeout=PATIENCE, metadata=metadata)).allow_private_targets
        except grpc.aio.AioRpcError:
            return False

    async def _access(self, report: Report, fields: Mapping[str, Any], metadata: Metadata) -> None:
        given = {"name": f"registrars/{fields['registrar']}", "domain": fields["domain"].strip().lower()}
        for name, value in (("account", fields.get("account")), ("token", fields.get("token"))):
            if value:
                given[name] = value
        if "credential" in fields:
            given["credential"] = {"fields": fields["credential"]}
        try:
            wish = json_format.ParseDict(given, service_pb2.ValidateRegistrarAccessRequest())
            answer = await self._registrars.ValidateRegistrarAccess(wish, timeout=PATIENCE, metadata=metadata)
        except json_format.ParseError:
            report.add("credential", "BODY_INVALID", "a credential is an object of texts")
            return
        except grpc.aio.AioRpcError as error:
            _told(report, "registrar", error)
            return
        report.access = json_format.MessageToDict(answer, always_print_fields_with_no_presence=True)


def _told(report: Report, place: str, error: grpc.aio.AioRpcError) -> None:
    """What a daemon refused with, as findings."""
    why = explain(error)
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED) and not why.reason:
        report.add(place, "PDM_UNREACHABLE", "the pool-domain manager does not answer; ask again")
    elif why.violations:
        for v in why.violations:
            report.add(v.field or place, why.reason, v.description)
    else:
        report.add(place, why.reason or why.code, why.message)


def _targets(report: Report, targets: Any, *, allow_private: bool) -> None:
    """The rules of the pool-domain manager, by which it judges again when it is asked for the name."""
    if not targets:
        report.add("targets", "TARGET_MISSING", "at least one address is needed")
    for n, raw in enumerate(targets):
        one = raw if isinstance(raw, dict) else {"address": raw}
        slot, text = one.get("slot") or "default", one.get("address")
        address = addresses.parse(text) if isinstance(text, str) else None
        if not isinstance(slot, str) or not _SLOT.fullmatch(slot):
            report.add(f"targets[{n}].slot", "TARGET_INVALID", "it is neither default, console nor a location code")
        if address is None:
            report.add(f"targets[{n}].address", "TARGET_INVALID", "it is no address")
        elif not allow_private and not addresses.is_public(address):
            report.add(f"targets[{n}].address", "TARGET_NOT_PUBLIC", f"{address} is not public")


def _domain(report: Report, fields: Mapping[str, Any]) -> None:
    domain = _plain(str(fields.get("domain", "")))
    if not _HOST.fullmatch(domain):
        report.add("domain", "FQDN_MISMATCH", "it is no domain name")
    if "registrar" in fields and not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", str(fields["registrar"])):
        report.add("registrar", "REGISTRAR_NOT_FOUND", "it is no registrar's id")


async def _pointing(report: Report, fields: Mapping[str, Any]) -> None:
    """Whether a record at the present host of the domain already leads here; nothing else of it has to move then."""
    domain, wished = (_plain(fields.get(name, "")) for name in ("domain", "pointsTo"))
    if addresses.parse(wished) is None and not _HOST.fullmatch(wished):
        report.add("pointsTo", "TARGET_INVALID", "it is neither an address nor a host name")
    elif _HOST.fullmatch(domain) and (fault := await lookups.pointing_fault(domain, wished)):
        report.add("domain", *fault)


def _plain(name: str) -> str:
    return name.strip().lower().removesuffix(".")


def _name_servers(report: Report, domain: str, given: Any) -> None:
    """Lower case, without blanks and repeats; at least two hosts, none of them inside of the domain."""
    texts = [one.strip().lower().removesuffix(".") for one in given if isinstance(one, str)]
    hosts = list(dict.fromkeys(filter(None, texts)))
    if len(hosts) < 2:
        report.add("nameservers", "NAMESERVERS_INVALID", "at least two are needed")
    for n, host in enumerate(given):
        if not isinstance(host, str) or (host.strip() and not _HOST.fullmatch(host.strip().lower().removesuffix("."))):
            report.add(f"nameservers[{n}]", "NAMESERVERS_INVALID", "it is no host name")
    inside = [host for host in hosts if domain and f".{host}".endswith(f".{domain.lower().removesuffix('.')}")]
    for host in inside:
        report.add("nameservers", "GLUE_REQUIRED", f"{host} lies inside of {domain}; its addresses are needed as glue")

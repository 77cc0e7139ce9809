"""Contract of the kind `registrar`: who tells a parent zone which name servers and keys a domain has.

Names are lower-case, fully qualified and end in a dot, as in `catalyst_sdk.dns`.

What a host relies on:
  compare first   `apply` changes nothing unless the delegation still is the one that the caller read (`expect`);
  again           the same target twice is one task; a target that is there already is a task that is done;
  read back       a task is DONE when the parent shows the target, not when somebody said so;
  no blind retry  after a time-out of a write its outcome is unknown: the caller reads before it tries again;
  no secrets      no credential is in an answer, an error, an instruction or a log line.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Protocol, runtime_checkable

from .failures import Permanent
from .host_records import HostRecords
from .manifests import Manifest
from .secrets import SecretRef

CAPABILITIES = frozenset({
    "set_ns", "set_ds", "glue", "host_records", "async_tasks", "needs_ip_allowlist", "subdomains",
})  # fmt: skip
"""What a registrar may declare. `async_tasks`: a change goes on after `apply` has answered.
`host_records`: what its own name servers have for a domain can be read, as `RecordsHost` says. `subdomains`: names below a
domain whose zone it hosts can be delegated, by records of that zone; `set_ns` and `set_ds` speak of registered domains."""

REASONS = frozenset({
    "CREDENTIALS_REJECTED", "ACCESS_NOT_ENTITLED", "PERMISSION_MISSING", "IP_NOT_ALLOWED", "DOMAIN_NOT_IN_ACCOUNT",
    "DOMAIN_LOCKED", "CONFLICT", "NAMESERVER_REJECTED", "GLUE_REQUIRED", "PROTOCOL_MISMATCH", "TASK_NOT_FOUND",
    "ZONE_NOT_HOSTED",
})  # fmt: skip
"""Reasons of a `Permanent` from a registrar. CONFLICT: the delegation isn't the expected one any more. ZONE_NOT_HOSTED: its
records are asked for, and the domain is on name servers of others."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"^(?=.{1,254}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+$")


@dataclass(frozen=True, slots=True)
class RegistrarInfo:
    """Facts about a registrar that hold without asking it."""

    name: str
    display_name: str
    capabilities: frozenset[str]
    credential_schema: Mapping[str, Any] = field(default_factory=dict)
    """JSON Schema of a credential, secret fields marked with `x-secret`; empty: none is needed."""
    min_ns: int = 2
    max_ns: int = 13
    delay_min: timedelta = timedelta(0)
    delay_max: timedelta = timedelta(hours=48)
    """How long a change usually takes to show, from and to."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that stands in the way of a right, with what the owner of the account can do."""

    reason: str
    detail: str
    provider_code: str = ""
    user_action: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """What a credential can do with a domain."""

    valid: bool
    can_read: bool
    can_write_ns: bool
    can_write_ds: bool
    obstacles: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class DsRecord:
    """One DS record (RFC 4034, section 5). `digest` is lower-case hex."""

    key_tag: int
    algorithm: int
    digest_type: int
    digest: str

    def __str__(self) -> str:
        return f"{self.key_tag} {self.algorithm} {self.digest_type} {self.digest}"


@dataclass(frozen=True, slots=True, order=True)
class Glue:
    """Addresses of a name server that lies within the domain."""

    host: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class DnsKey:
    """The key that a DS record digests (RFC 4034, section 2), for registrars that take keys and digest them themselves."""

    key_tag: int
    flags: int
    algorithm: int
    public_key: str
    """Base64."""


@dataclass(frozen=True, slots=True)
class Target:
    """A delegation as it is wished. Make it with `delegation_target`, which puts it in order."""

    ns: tuple[str, ...]
    ds: tuple[DsRecord, ...] = ()
    glue: tuple[Glue, ...] = ()
    keys: tuple[DnsKey, ...] = ()
    """The keys of `ds`, as far as the caller has them."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """A delegation as the parent has it.

    consistent   whether all servers of the parent that were asked say the same; else `ns` is what the first one says
    locks        what forbids changes at the registrar, such as `clientUpdateProhibited`
    """

    ns: tuple[str, ...]
    ds: tuple[DsRecord, ...] = ()
    glue: tuple[Glue, ...] = ()
    locks: tuple[str, ...] = ()
    consistent: bool = True

    @property
    def etag(self) -> str:
        """Changes with name servers, keys and glue, in whatever order they come."""
        parts = [
            sorted(self.ns),
            sorted(map(str, self.ds)),
            sorted(f"{g.host} {sorted(g.addresses)}" for g in self.glue),
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def shows(self, target: Target) -> bool:
        """Whether the parent, all of it, has what is wished. Glue counts for the hosts for which it is wished."""
        known = {glue.host: set(glue.addresses) for glue in self.glue}
        return (
            self.consistent
            and set(self.ns) == set(target.ns)
            and set(self.ds) == set(target.ds)
            and all(known.get(glue.host) == set(glue.addresses) for glue in target.glue)
        )


class TaskState(StrEnum):
    """How far a change is."""

    RUNNING = "running"
    """The registrar works on it."""
    WAITING_FOR_PERSON = "waiting_for_person"
    """Somebody has to do what `instructions` say."""
    DONE = "done"
    """The parent shows the target."""
    FAILED = "failed"
    """It will not happen; `message` says why."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line to enter at the registrar: a record as a zone file has it, and its parts for a form."""

    type: str
    """`NS`, `DS`, `GLUE`, or `REMOVE_NS`, `REMOVE_DS` for what has to go."""
    text: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """One change of a delegation. `id` names it at the registrar's plugin, for `task`."""

    id: str
    domain: str
    state: TaskState
    message: str
    instructions: tuple[Instruction, ...] = ()


class Registrar(Protocol):
    """A registrar. Only the four errors of the SDK leave it; a `Permanent` carries one of REASONS."""

    async def info(self) -> RegistrarInfo:
        """What it is and can do."""
        ...

    async def validate(self, *, credential: SecretRef | None, domain: str) -> Access:
        """What the credential can do with the domain, changing nothing. A refusal is an answer, not an error."""
        ...

    async def delegation(self, *, credential: SecretRef | None, domain: str) -> Delegation:
        """The present delegation; without name servers where there is none."""
        ...

    async def apply(self, *, credential: SecretRef | None, domain: str, target: Target, expect: str) -> Task:
        """Begin to make the delegation be `target`.

        expect   etag of the delegation that the caller read; another one by now is CONFLICT
        """
        ...

    async def task(self, *, credential: SecretRef | None, id: str) -> Task:
        """How far a change is. Raises Permanent("TASK_NOT_FOUND")."""
        ...


@runtime_checkable
class RecordsHost(Protocol):
    """What a registrar that declares `host_records` is besides. Since 0.1."""

    async def host_records(self, *, credential: SecretRef | None, domain: str) -> HostRecords:
        """Every record that the registrar's own name servers have for the domain. Raises Permanent("ZONE_NOT_HOSTED")."""
        ...


def registrar_info(manifest: Manifest) -> RegistrarInfo:
    """The facts that a registrar's `manifest.toml` adds: `display_name`, tables `credential`, `name_servers`, `delay`."""
    extra = manifest.extra
    counts, delay = extra.get("name_servers", {}), extra.get("delay", {})
    return RegistrarInfo(
        name=manifest.name,
        display_name=extra.get("display_name", manifest.name),
        capabilities=frozenset(manifest.capabilities),
        credential_schema=extra.get("credential", {}),
        min_ns=counts.get("min", 2),
        max_ns=counts.get("max", 13),
        delay_min=timedelta(seconds=delay.get("min_seconds", 0)),
        delay_max=timedelta(seconds=delay.get("max_seconds", 172800)),
    )


def host_name(given: str) -> str:
    """A host or domain name in order: trimmed, lower-case, one dot at the end. Raises Permanent("NAMESERVER_REJECTED")."""
    name = given.strip().lower().rstrip(".") + "."
    if not _HOST.match(name) or _is_address(name):
        raise Permanent("NAMESERVER_REJECTED", f"{given.strip()!r} is not a host name", host=given.strip())
    return name


def domain_name(given: str, provider: str = "") -> str:
    """A domain in order: lower-case, one dot at the end, nothing that would change a URL. Nobody is asked about another.

    Raises Permanent("DOMAIN_NOT_IN_ACCOUNT").
    """
    labels = given.strip().lower().removesuffix(".").split(".")
    if len(labels) < 2 or len(given) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdecimal():
        text = f"{given!r} is not a domain name"
        raise Permanent("DOMAIN_NOT_IN_ACCOUNT", text, provider=provider, user_action="check the domain's spelling")
    return ".".join(labels) + "."


def delegation_target(
    domain: str,
    ns: Iterable[str],
    *,
    ds: Iterable[DsRecord] = (),
    glue: Iterable[Glue] = (),
    keys: Iterable[DnsKey] = (),
    min_ns: int = 2,
    max_ns: int = 13,
) -> Target:
    """A target in order: blanks and repeats dropped, the order kept, glue for servers within the domain demanded.

    Raises Permanent with NAMESERVER_REJECTED or GLUE_REQUIRED and the host.
    """
    hosts = tuple(dict.fromkeys(host_name(one) for one in ns if one.strip()))
    if not min_ns <= len(hosts) <= max_ns:
        text = f"{len(hosts)} name servers are given, {min_ns} to {max_ns} are needed"
        raise Permanent("NAMESERVER_REJECTED", text, host=" ".join(hosts))
    own = host_name(domain)
    given = {host_name(one.host): Glue(host_name(one.host), tuple(one.addresses)) for one in glue}
    for host in hosts:
        if (host == own or host.endswith(f".{own}")) and not given.get(host, Glue(host, ())).addresses:
            raise Permanent("GLUE_REQUIRED", f"{host} lies within {own} and needs an address", host=host)
    wished = tuple(given[host] for host in hosts if host in given)
    return Target(hosts, tuple(sorted(set(ds))), wished, tuple(sorted(set(keys))))


def _is_address(name: str) -> bool:
    try:
        ip_address(name.rstrip("."))
    except ValueError:
        return False
    return True

"""Name-server sets: who is named in NS, who is asked, who is written to, who is told."""

import ipaddress
import re
from dataclasses import dataclass, replace
from datetime import datetime

from catalyst_sdk import Code, Decision, Refused, Violation
from catalyst_sdk.dns_rules import check_name

FEWEST = 2
_NUMBERS = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server on the network. Without addresses it is looked up by its host; port 0 means 53."""

    host: str
    addresses: tuple[str, ...] = ()
    port: int = 0


@dataclass(frozen=True, slots=True)
class Glue:
    """Addresses of a published host."""

    host: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServerSet:
    """One set; host names with their final dot."""

    id: str
    uid: str
    published: tuple[str, ...]
    polled: tuple[Endpoint, ...]
    created_at: datetime
    updated_at: datetime
    targets: tuple[Endpoint, ...] = ()
    also_notify: tuple[Endpoint, ...] = ()
    glue: tuple[Glue, ...] = ()
    version: int = 1

    @property
    def name(self) -> str:
        """Resource name."""
        return f"nameServerSets/{self.id}"

    def glue_of(self, host: str) -> tuple[str, ...]:
        """Addresses that are known of a published host."""
        return next((g.addresses for g in self.glue if g.host == host), ())


class ServersRefused(Refused):
    code, reason = Code.INVALID_ARGUMENT, "NAMESERVERS_INVALID"
    message = "{count} name server(s) cannot be used: {first}"

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__(violations=violations, count=len(violations), first=violations[0].description)


class GlueRequired(Refused):
    code, reason = Code.FAILED_PRECONDITION, "GLUE_REQUIRED"
    message = "{host} lies inside {zone}, which it serves; its addresses are needed as glue"


class ServerSetExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "NAME_SERVER_SET_EXISTS", "{name} is there already"


class ServerSetNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "NAME_SERVER_SET_NOT_FOUND", "there is no {name}"


class ServerSetInUse(Refused):
    code, reason = Code.FAILED_PRECONDITION, "NAME_SERVER_SET_IN_USE"
    message = "{name} serves {user}; {what}"

    def __init__(self, *, name: str, user: str, what: str = "give that other servers first") -> None:
        super().__init__(name=name, user=user, what=what)


def host(text: str) -> str:
    """A host name as it is kept: lower case, with its final dot."""
    return text.strip().lower().rstrip(".") + "."


def create(known: ServerSet | None, wish: ServerSet) -> Decision[ServerSet]:
    """Store a set. Raises ServerSetExists, ServersRefused."""
    if known is not None:
        raise ServerSetExists(name=wish.name)
    check(wish)
    return Decision(wish)


def change(known: ServerSet, wish: ServerSet, now: datetime) -> Decision[ServerSet]:
    """Take other servers. The same ones again change nothing. Raises ServersRefused."""
    check(wish)
    if replace(wish, version=known.version, updated_at=known.updated_at) == known:
        return Decision(known)
    return Decision(replace(wish, version=known.version + 1, updated_at=now))


def check(wish: ServerSet) -> None:
    """Everything that is wrong with a set at once. Raises ServersRefused."""
    found = [v for n, name in enumerate(wish.published) if (v := _host_fault(f"published[{n}]", name))]
    if len(wish.published) < FEWEST or len(set(wish.published)) < len(wish.published):
        found.append(Violation("published", f"{FEWEST} different host names at least are published", "count"))
    if not wish.polled:
        found.append(Violation("polled", "nobody would be asked whether a change arrived", "count"))
    for field in ("polled", "targets", "also_notify"):
        for n, endpoint in enumerate(getattr(wish, field)):
            if fault := _host_fault(f"{field}[{n}].host", endpoint.host):
                found.append(fault)
    for n, glue in enumerate(wish.glue):
        if glue.host not in wish.published or not glue.addresses:
            found.append(Violation(f"glue[{n}]", f"{glue.host} is not published, or has no address", "glue"))
    if found:
        raise ServersRefused(tuple(found))


def demand_glue(servers: ServerSet, zone: str) -> None:
    """A server inside the zone that it serves cannot be found without its addresses. Raises GlueRequired."""
    for name in servers.published:
        if (name == zone or name.endswith(f".{zone}")) and not servers.glue_of(name):
            raise GlueRequired(host=name, zone=zone)


def hosts_below(sets: tuple[ServerSet, ...], domain: str) -> frozenset[str]:
    """Labels of `domain` at or below which a published host stands: they can never be allocated."""
    ending = f".{domain}."
    names = (name for s in sets for name in (*s.published, *(e.host for e in (*s.polled, *s.targets))))
    return frozenset(name.removesuffix(ending).rsplit(".", 1)[-1] for name in names if name.endswith(ending))


def _host_fault(field: str, name: str) -> Violation | None:
    try:
        ipaddress.ip_address(name.rstrip("."))
        return Violation(field, f"{name} is an address, a host name is needed", "host")
    except ValueError:
        pass
    bad = check_name(name) or ("_" in name and "an underscore") or name.count(".") < FEWEST or _NUMBERS.fullmatch(name)
    return Violation(field, f"{name!r} is no host name", "host") if bad else None

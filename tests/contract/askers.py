"""Everybody who can ask: with no token, with rubbish, as a person in each role, as each daemon, and as one for another."""

from collections.abc import Iterator
from dataclasses import dataclass

from catalyst_mesh import PUBLIC, SIGNED_IN, Issuer
from catalyst_mesh.calls import ON_BEHALF_OF
from catalyst_mesh.roles import AGENT, ORGANIZATION_ROLES, OWN, SERVICE, WHOLE_SOVEREIGN

SERVICES = ("billing", "catalog", "continuum", "environment", "gateway", "pdm", "pool_domain_manager", "pooldomain")
SERVICES += ("provisioner",)
ELSEWHERE = "stranger"
"""The Organization in which nothing lies that anybody asks for."""
DENIED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})


@dataclass(frozen=True, slots=True)
class Asker:
    """One who asks; what the name says is for the message of a test."""

    name: str
    roles: frozenset[str] = frozenset()
    """Over the Sovereign."""
    own: frozenset[str] = frozenset()
    """In the Organization whose resource is asked for."""
    elsewhere: frozenset[str] = frozenset()
    """In another one."""
    service: str = ""
    token: str | None = None
    """Sent as it stands, where it is not to be signed; empty: none."""
    serves: "Asker | None" = None
    """Whose token is shown beside."""

    def metadata(self, issuer: Issuer, org: str) -> tuple[tuple[str, str], ...]:
        """What the call carries; `org` is the Organization that is the own one."""
        shown = self.signed(issuer, org)
        own = (("authorization", f"Bearer {shown}"),) if shown else ()
        return (*own, (ON_BEHALF_OF, f"Bearer {self.serves.signed(issuer, org)}")) if self.serves else own

    def signed(self, issuer: Issuer, org: str) -> str:
        """The token."""
        if self.token is not None:
            return self.token
        groups = {f"/{org}/{role}" for role in self.own} | {f"/{ELSEWHERE}/{role}" for role in self.elsewhere}
        return issuer.token(self.name, roles=self.roles, groups=groups, service=self.service)

    def stands_in(self, row: frozenset[str]) -> bool:
        """Whether the row of a method names it."""
        held = self.roles | self.own | self.elsewhere | {PUBLIC}
        held |= {SIGNED_IN} if self.token is None or AGENT in self.roles else set()
        held |= {f"{SERVICE}{self.service}", f"{OWN}{self.service}"} if self.service else set()
        return bool(held & row)

    def verdict(self, row: frozenset[str], *, knows_agents: bool) -> str:
        """Code with which the table refuses it; empty where it lets it in."""
        if self._is_unknown(row, knows_agents=knows_agents):
            return "UNAUTHENTICATED"
        if self.serves is not None and self.serves.token is not None:
            return "UNAUTHENTICATED"
        if not self.stands_in(row) or not self._may_act(row):
            return "PERMISSION_DENIED"
        return ""

    def _is_unknown(self, row: frozenset[str], *, knows_agents: bool) -> bool:
        if AGENT in self.roles:
            return not knows_agents
        return self.token is not None and not (self.token == "" and PUBLIC in row)

    def _may_act(self, row: frozenset[str]) -> bool:
        if self.serves is None:
            return True
        return bool(self.service and not self.serves.service) and (
            f"{OWN}{self.service}" in row or self.serves.stands_in(row)
        )


def person(*own: str, elsewhere: tuple[str, ...] = (), roles: tuple[str, ...] = ()) -> Asker:
    """A person with these roles."""
    parts = [*(f"{role} here" for role in own), *(f"{role} elsewhere" for role in elsewhere), *roles]
    return Asker(" and ".join(parts) or "nobody", frozenset(roles), frozenset(own), frozenset(elsewhere))


def daemon(service: str, serves: Asker | None = None) -> Asker:
    """A daemon, for itself or for somebody."""
    return Asker(f"{service} for {serves.name}" if serves else service, service=service, serves=serves)


NOBODY = person()
ANONYMOUS = Asker("anonymous", token="")


def everybody(rubbish: list[str], agent: str) -> Iterator[Asker]:
    """All of them. `rubbish`: tokens that nobody may accept; `agent`: that of a cluster's agent."""
    yield from (ANONYMOUS, NOBODY, Asker(AGENT, frozenset({AGENT}), token=agent))
    yield from (Asker(f"rubbish {n}", token=token) for n, token in enumerate(rubbish))
    for role in sorted(ORGANIZATION_ROLES):
        yield from (person(role), person(elsewhere=(role,)))
    yield from (person(roles=(role,)) for role in sorted(WHOLE_SOVEREIGN))
    yield from (daemon(name) for name in SERVICES)
    served = NOBODY, person("org-admin"), person(roles=("sovereign-admin",)), Asker("rubbish", token=rubbish[0])
    for name in ("gateway", "provisioner"):
        yield from (daemon(name, one) for one in (*served, daemon("billing")))
    yield Asker("a person for another", frozenset({"sovereign-admin"}), serves=person("org-admin"))

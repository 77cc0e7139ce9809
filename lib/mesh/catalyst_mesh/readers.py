"""Who may be told of which event: whoever may read, by RPC, the thing that the event is about.

Invariants
  the same table     roles are those of the row of the method that reads the thing; a test compares the two;
  unknown is denied  of events that stand not here, and of those of which it is not known whose they are, nobody hears but
                     whoever holds a role over the Sovereign that the row names;
  own                a role of an Organization counts for what is that Organization's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalyst_sdk import Code, Refused

from .access import PUBLIC, SIGNED_IN
from .calls import Caller
from .roles import ORGANIZATION_ROLES, WHOLE_SOVEREIGN

NOBODY_S = ""
"""What belongs to no Organization."""
UNKNOWN = "?"
"""Whose it is was not found out; it can be no Organization's slug."""
UNLISTED = "-"
"""What belongs to no Organization and stands in no list: whoever knows its name finds it, and nobody is told of it but
who curates. It can be no Organization's slug."""
WS = "ws"
"""Kind of what happens in an Environment."""
_MEMBERS = "org-admin org-developer org-viewer"


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads one kind of thing.

    method     reads the thing, `catalyst.billing.v1.OrderService/GetOrder`; empty where no method of a daemon does
    roles      who may call it
    is_shared  whether a role held in any Organization is enough, as the thing is nobody's
    curators   who is told of such things too that stand in no list
    """

    method: str
    roles: frozenset[str]
    is_shared: bool = False
    curators: frozenset[str] = frozenset()


def _of(method: str, roles: str, *, is_shared: bool = False, curators: str = "") -> Readers:
    return Readers(method, frozenset(roles.split()), is_shared, frozenset(curators.split()))


_EVERY_VIEWER = f"{_MEMBERS} billing-admin security-officer sovereign-admin"
_NAMES = f"{_MEMBERS} security-officer sovereign-admin"
_MONEY = "billing-admin org-admin"
_CATALOG, _BILLING = "catalyst.catalog.v1", "catalyst.billing.v1"
_PROVISIONER, _POOLS = "catalyst.provisioner.v1", "catalyst.pooldomain.v1"
_ENVIRONMENT = "catalyst.environment.v1"
_CONTINUUM = _of("catalyst.continuum.v1.ContinuumService/GetContinuum", _NAMES)
_OF_A_SLOT = (
    "approval continuum database drill effect epoch failback failsafe lease region rejoin run splitbrain switchover "
    "takeover witness"
)

READERS: Mapping[str, Readers] = {
    "billing.credit": _of(f"{_BILLING}.AccountService/ListCreditGrants", _MONEY),
    "billing.finding": _of(f"{_BILLING}.LedgerService/GetFinding", "billing-admin"),
    "billing.invoice": _of(f"{_BILLING}.InvoiceService/GetInvoice", _MONEY),
    "billing.order": _of(f"{_BILLING}.OrderService/GetOrder", _MONEY),
    "billing.payment": _of(f"{_BILLING}.OrderService/GetOrder", _MONEY),
    "billing.quota": _of(f"{_BILLING}.MeteringService/GetEntitlement", f"{_MONEY} org-developer"),
    "billing.statement": _of(f"{_BILLING}.FranchiseService/GetStatement", "billing-admin sovereign-admin"),
    "billing.subscription": _of(f"{_BILLING}.SubscriptionService/GetSubscription", _MONEY),
    "billing.voucher": _of(f"{_BILLING}.VoucherService/GetVoucher", "billing-admin sovereign-admin"),
    "catalog.blueprint": _of(f"{_CATALOG}.CatalogService/GetBlueprint", PUBLIC, curators="sovereign-admin"),
    "catalog.version": _of(f"{_CATALOG}.CatalogService/GetVersion", PUBLIC, curators="sovereign-admin"),
    "catalog.offer": _of(f"{_CATALOG}.StorefrontService/GetApp", PUBLIC),
    "catalog.pricebook": _of(f"{_CATALOG}.StorefrontService/GetPriceBook", PUBLIC),
    "catalog.issue": _of(f"{_CATALOG}.SourceService/ListIssues", "org-admin sovereign-admin"),
    "catalog.source": _of(f"{_CATALOG}.SourceService/GetSource", "org-admin sovereign-admin"),
    "pooldomain.allocation": _of(f"{_POOLS}.AllocationService/GetAllocation", _NAMES),
    "pooldomain.delegation": _of(f"{_POOLS}.DelegationService/GetDelegation", _NAMES),
    "pooldomain.pool": _of(f"{_POOLS}.PoolService/GetPool", _NAMES, is_shared=True),
    "pooldomain.propagation": _of(f"{_POOLS}.ZoneService/GetZone", _NAMES),
    "pooldomain.zone": _of(f"{_POOLS}.ZoneService/GetZone", _NAMES),
    "pooldomain.registrar_account": _of(
        f"{_POOLS}.RegistrarService/GetRegistrarAccount", "org-admin security-officer sovereign-admin"
    ),
    "provisioner.access": _of(f"{_PROVISIONER}.AccessService/ListGrants", "security-officer sovereign-admin"),
    "provisioner.credential": _of(
        f"{_PROVISIONER}.CredentialService/GetCredential", "security-officer sovereign-admin"
    ),
    "provisioner.cluster": _of(f"{_PROVISIONER}.InfrastructureService/GetTopology", _EVERY_VIEWER),
    "provisioner.component": _of(f"{_PROVISIONER}.InfrastructureService/ListComponents", _EVERY_VIEWER),
    "provisioner.drift": _of(f"{_PROVISIONER}.InfrastructureService/GetDriftReport", _EVERY_VIEWER),
    "provisioner.leftover": _of(f"{_PROVISIONER}.InfrastructureService/ListLedger", _EVERY_VIEWER),
    "provisioner.plan": _of(f"{_PROVISIONER}.PlanService/GetPlan", _EVERY_VIEWER),
    "provisioner.sovereign": _of(f"{_PROVISIONER}.SovereignService/GetSovereign", _EVERY_VIEWER),
    **dict.fromkeys(
        ("provisioner.gate", "provisioner.run", "provisioner.step"),
        _of(f"{_PROVISIONER}.RunService/GetRun", _EVERY_VIEWER),
    ),
    **dict.fromkeys((f"continuum.{kind}" for kind in _OF_A_SLOT.split()), _CONTINUUM),
    # Of what is inside an Organization only its members hear.
    "environment.application": _of(f"{_ENVIRONMENT}.ApplicationService/GetApplication", _MEMBERS),
    "environment.environment": _of(f"{_ENVIRONMENT}.EnvironmentService/GetEnvironment", _MEMBERS),
    "environment.member": _of(f"{_ENVIRONMENT}.MemberService/GetMember", _MEMBERS),
    "environment.operation": _of(f"{_ENVIRONMENT}.EnvironmentService/GetEnvironment", _MEMBERS),
    "environment.organization": _of(f"{_ENVIRONMENT}.OrganizationService/GetOrganization", _EVERY_VIEWER),
    "environment.policy": _of(f"{_ENVIRONMENT}.PolicyService/GetPolicy", _MEMBERS),
    "environment.webhook": _of(f"{_ENVIRONMENT}.WebhookService/GetWebhook", "org-admin"),
}
"""By daemon and kind of thing, the third and fourth word of a subject."""
_WORKSPACE = _of("", _MEMBERS)
"""Runtime facts of an Environment, `ws.<env>.…`: reading inside an Organization is its members' alone."""


class TopicDenied(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "TOPIC_DENIED", "the caller may not listen to {topic}"


@dataclass(frozen=True, slots=True)
class Reader:
    """What one person may be told, asked for each event; made once for each stream."""

    everything: frozenset[str]
    """Kinds of which all is told, whosever it is."""
    anybody_s: frozenset[str]
    """Kinds of which is told what is nobody's."""
    own: frozenset[tuple[str, str]]
    """Kind and Organization of which is told; UNLISTED stands for one."""

    @classmethod
    def of(cls, person: Caller) -> "Reader":
        """The reader that `person` is."""
        held = _roles(person)
        anywhere = {role for _, role in held}
        kinds = {**READERS, WS: _WORKSPACE}
        open_to_all = {PUBLIC, SIGNED_IN}
        return cls(
            everything=frozenset(k for k, row in kinds.items() if row.roles & person.roles & WHOLE_SOVEREIGN),
            anybody_s=frozenset(
                k for k, row in kinds.items() if row.roles & open_to_all or (row.is_shared and row.roles & anywhere)
            ),
            own=frozenset(
                (k, org) for k, row in kinds.items() for org, role in held if row.roles & ({role} | open_to_all)
            )
            | {(k, UNLISTED) for k, row in kinds.items() if row.curators & person.roles},
        )

    def may_hear(self, subject: str, organization: str) -> bool:
        """Whether an event under `subject` about something of `organization` is this person's to hear."""
        kind = kind_of(subject)
        if kind in self.everything or (kind, organization) in self.own:
            return True
        return organization == NOBODY_S and kind in self.anybody_s

    def by_organization(self) -> Mapping[str, frozenset[str]]:
        """Kinds of which is told, by Organization."""
        orgs = {org for _, org in self.own}
        return {org: frozenset(kind for kind, of in self.own if of == org) for org in sorted(orgs)}

    def demand(self, topics: str) -> None:
        """Let a listener pass who may hear the Environments that it asks for by name. Raises TopicDenied for any other,
        whether there is one or not."""
        for topic in topics.split(","):
            words = topic.strip().split(".")
            if words[0] == WS and len(words) > 1 and words[1] and (WS, organization_of(words[1])) not in self.own:
                raise TopicDenied(topic=topic.strip())


def _roles(person: Caller) -> frozenset[tuple[str, str]]:
    """Organization and role of each membership."""
    parts = [group.split("/") for group in person.groups if group.count("/") == 2]
    return frozenset((org, role) for _, org, role in parts if org and role in ORGANIZATION_ROLES)


def kind_of(subject: str) -> str:
    """`billing.order` of `catalyst.v1.billing.order.paid`; `ws` of what happens in an Environment."""
    words = subject.split(".")
    if words[0] == WS:
        return WS
    return ".".join(words[2:4]) if words[:2] == ["catalyst", "v1"] and len(words) >= 5 else ""


_FIELDS = ("organization", "org", "ownerOrg", "owner")
"""Where bodies name the Organization, in the JSON form of their contracts."""
_SLUG = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")
_PARENTS = ("organizations", "billingAccounts", "namespaces")
"""Collections whose ids are Organizations' slugs."""


def whose(subject: str, aggregate: str, body: Mapping[str, Any]) -> str:
    """Slug of the Organization that an event is about, NOBODY_S, UNLISTED or UNKNOWN.

    What says nothing of an owner is nobody's only where its kind is open to all or shared; of all else it is unknown.
    """
    if subject.startswith(f"{WS}."):
        return organization_of(subject.split(".")[1])
    for name in _FIELDS:
        if slug := _slug(body.get(name)):
            return slug
    parent, _, rest = aggregate.partition("/")
    if parent in _PARENTS and rest:
        return rest.partition("/")[0]
    row = READERS.get(kind_of(subject))
    if row is not None and row.curators and body.get("visibility") == "VISIBILITY_UNLISTED":
        return UNLISTED
    is_open = row is not None and (row.is_shared or row.roles & {PUBLIC, SIGNED_IN})
    return NOBODY_S if is_open else UNKNOWN


def organization_of(environment: str) -> str:
    """The Organization of an Environment, `acme` of `acme-prod`."""
    return environment.rpartition("-")[0] or UNKNOWN


def _slug(value: object) -> str:
    """`acme` of `organizations/acme`, or of itself: some contracts tell the name, some the slug."""
    text = value.removeprefix("organizations/") if isinstance(value, str) else ""
    return text if _SLUG.fullmatch(text) else ""

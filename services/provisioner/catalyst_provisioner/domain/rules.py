"""What a spec may say: every violation at once, each with the path of its field.

The contract has checked the form of single fields (patterns, lengths, lists); here stands what needs more than one field,
or facts about clouds and names. Clusters, ranges and layouts have modules of their own.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from catalyst_sdk import Code, Refused, Violation

from . import cluster_rules, layouts, mirrors, network_rules, remotes
from .reference import Reference
from .wishes import Clouds, Document, fqdn

LABEL = re.compile(r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")
EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")
SLUG = re.compile(r"^[a-z][a-z0-9-]{0,62}$")
INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
IsPublicSuffix = Callable[[str], bool]


class SpecInvalid(Refused):
    """All that is wrong with a spec."""

    code, reason = Code.INVALID_ARGUMENT, "SPEC_INVALID"
    message = "{count} field(s) of the spec are wrong: {fields}"

    def __init__(self, violations: Sequence[Violation]) -> None:
        fields = ", ".join(v.field for v in violations)
        super().__init__(violations=tuple(violations), count=len(violations), fields=fields)


def check(document: Document, clouds: Clouds, reference: Reference, is_public_suffix: IsPublicSuffix) -> None:
    """Raises SpecInvalid with everything that is wrong with an expanded document."""
    if found := violations(document, clouds, reference, is_public_suffix):
        raise SpecInvalid(found)


def violations(
    document: Document, clouds: Clouds, reference: Reference, is_public_suffix: IsPublicSuffix
) -> list[Violation]:
    """Everything that is wrong, in the order of the fields."""
    return [
        *_invisible(document, "spec"),
        *_organization(document.get("organization") or {}, reference),
        *_domain(document.get("domain") or {}, is_public_suffix),
        *layouts.violations(document, clouds, reference),
        *cluster_rules.violations(document.get("clusters") or (), clouds, reference),
        *network_rules.violations(document),
        *_components(document.get("components") or {}),
        *_governed(document),
        *_whole(document),
        *mirrors.violations(
            document, {name: mirrors.CAPABILITY in cloud.capabilities for name, cloud in clouds.items()}
        ),
        *remotes.violations(document),
    ]


def under_a_pool(document: Document, pools: Sequence[str]) -> list[Violation]:
    """What is wrong with the name, given the pools that there are: one of its own lies in none, one of a pool in a known one."""
    row = document["domain"]
    if row["mode"] == "pool":
        known = ", ".join(sorted(pools)) or "none"
        text = f"no pool {row['pool']} is known (known: {known})"
        return [] if row["pool"] in pools else [Violation("spec.domain.pool", text, "pool")]
    within = next((pool for pool in pools if f".{row['fqdn']}".endswith(f".{pool}")), "")
    text = f"lies in the pool {within}; take mode pool for a name of it"
    return [Violation("spec.domain.fqdn", text, "pool")] if within else []


def _invisible(value: Any, path: str) -> Iterator[Violation]:
    if isinstance(value, str) and INVISIBLE.search(value):
        yield Violation(path, "holds invisible or control characters", "characters")
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _invisible(part, f"{path}.{key}")
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _invisible(part, f"{path}[{i}]")


def _organization(row: Document, reference: Reference) -> Iterator[Violation]:
    slug, path = row.get("slug", ""), "spec.organization.slug"
    if not slug:
        yield Violation(path, "is required", "required")
    elif "--" in slug:
        yield Violation(path, "has two hyphens in a row", "slug")
    elif any(fnmatchcase(slug, word) for word in reference.reserved_organizations):
        yield Violation(path, f"{slug} is a reserved word", "reserved")
    elif slug in reference.dimension_codes:
        yield Violation(path, f"{slug} is a code that names are made of", "reserved")
    email = row.get("admin_email", "")
    if not email:
        yield Violation("spec.organization.admin_email", "is required", "required")
    elif len(email) > 254 or not EMAIL.match(email):
        yield Violation("spec.organization.admin_email", "is not a mailbox", "email")
    yield from _profile(row.get("profile") or {}, reference)


def _profile(row: Document, reference: Reference) -> Iterator[Violation]:
    for key in ("industry", "size"):
        if row.get(key) and not SLUG.match(row[key]):
            yield Violation(f"spec.organization.profile.{key}", "is not a slug", "slug")
    for i, regime in enumerate(row.get("compliance") or ()):
        if regime not in reference.compliance:
            text = f"{regime[:60]!r} is none of {', '.join(reference.compliance)}"
            yield Violation(f"spec.organization.profile.compliance[{i}]", text, "compliance")


def _domain(row: Document, is_public_suffix: IsPublicSuffix) -> Iterator[Violation]:
    mode = row.get("mode", "")
    if not mode:
        yield Violation("spec.domain.mode", "is required: pool, byo-manual or byo-api", "required")
        return
    yield from _present(row, "spec.domain", wanted=_DOMAIN[mode])
    if mode == "pool" and row.get("delegation_first"):
        yield Violation("spec.domain.delegation_first", "is for names of one's own", "unexpected")
    label, name = row.get("label", ""), row.get("fqdn", "")
    if label and not LABEL.match(label):
        text = "must be 1 to 63 of a-z, 0-9 and hyphen, a letter first, no hyphen last"
        yield Violation("spec.domain.label", f"{label[:80]!r} {text}", "label")
    elif label.startswith("xn--"):
        yield Violation("spec.domain.label", "punycode is not taken", "label")
    if name and (name.count(".") < 1 or len(name) > 253):
        yield Violation("spec.domain.fqdn", "needs at least two labels and at most 253 characters", "fqdn")
    elif name and is_public_suffix(name):
        yield Violation("spec.domain.fqdn", f"{name} is a public suffix", "fqdn")


_DOMAIN = {
    "pool": ("pool", "label"),
    "byo-manual": ("fqdn",),
    "byo-api": ("fqdn", "registrar_account"),
}


def _present(row: Document, path: str, wanted: Sequence[str]) -> Iterator[Violation]:
    for key in ("pool", "label", "fqdn", "registrar_account"):
        if key in wanted and not row.get(key):
            yield Violation(f"{path}.{key}", f"is required with mode {row['mode']}", "required")
        if key not in wanted and row.get(key):
            yield Violation(f"{path}.{key}", f"is refused with mode {row['mode']}", "unexpected")


def _components(row: Document) -> Iterator[Violation]:
    excluded = set(row.get("exclude") or ())
    for name in sorted(excluded & set(row.get("include") or ())):
        yield Violation("spec.components.exclude", f"{name} is included too", "exclusive")
    for name in sorted(excluded & (row.get("values") or {}).keys()):
        yield Violation(f"spec.components.values.{name}", "is for a component that is left out", "exclusive")


def _governed(document: Document) -> Iterator[Violation]:
    """Budget, approvals and drift: who decides what, and how much it may cost."""
    limit = (document.get("budget") or {}).get("monthly_limit")
    if limit is not None and int(limit.get("minor") or 0) <= 0:
        yield Violation("spec.budget.monthly_limit.minor", "must be above 0", "budget")
    approvals = document.get("approvals") or ()
    for i, row in enumerate(approvals):
        if not (row.get("roles") or row.get("principals")):
            yield Violation(f"spec.approvals[{i}]", "names neither roles nor principals", "required")
    for gate, times in Counter(row.get("gate", "") for row in approvals).items():
        if times > 1:
            yield Violation("spec.approvals", f"{times} entries are for the gate {gate}", "unique")
    drift = document.get("drift") or {}
    if drift.get("policy") == "repair-in-window" and not drift.get("windows"):
        yield Violation("spec.drift.windows", "is required with repair-in-window", "required")


def _whole(document: Document) -> Iterator[Violation]:
    clusters = document.get("clusters") or ()
    regions = {(c.get("provider"), c.get("region")) for c in clusters}
    placement = document.get("placement", "single-region")
    if clusters and placement != "single-region" and len(regions) < 2:
        yield Violation("spec.placement", f"{placement} needs at least two regions", "placement")
    if document.get("ttl") and any(c.get("env_type") not in ("dev", "poc") for c in clusters):
        yield Violation("spec.ttl", "is for Sovereigns of dev and poc only", "ttl")
    if document.get("domain", {}).get("mode") == "pool" and len(_fqdn_or_empty(document)) > 253:
        yield Violation("spec.domain", "the full name has more than 253 characters", "fqdn")


def _fqdn_or_empty(document: Document) -> str:
    try:
        return fqdn(document)
    except KeyError:
        return ""

"""What a spec may say: every violation at once, each with the path of its field. Also the shorthand's expansion.

The contract has checked the form of single fields (patterns, lengths, lists); here stands what needs more than one field,
or facts about clouds and names.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from catalyst_sdk import Code, Refused, Violation

from .reference import Reference
from .ssh_keys import key_fault
from .wishes import Clouds, Document, dimensions, fqdn

IMMUTABLE = (
    "organization.slug",
    "domain",
    "keycloak_topology",
    "topology",
    "regions",
    "network.cidr_base",
    "air_gap",
    "cluster_defaults",
)  # fmt: skip - reads as a list
LABEL = re.compile(r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")
EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")
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
        *_shorthand(document, reference),
        *_clusters(document.get("clusters") or (), clouds, reference),
        *_network(document.get("network") or {}),
        *_access(document.get("access") or {}),
        *_whole(document),
    ]


def changed_immutables(old: Document, new: Document) -> list[Violation]:
    """Fields that differ and can never change."""
    return [
        Violation(f"spec.{path}", "can never change", "immutable")
        for path in IMMUTABLE
        if _at(old, path) != _at(new, path)
    ] + _fewer_planes(old, new)


def expanded(document: Document, clouds: Clouds, reference: Reference) -> dict[str, Any]:
    """The document with `topology` written out as `clusters`, and with every default that names depend on."""
    plain = dict(document)
    name = plain.get("topology", "").removesuffix("+air-gap")
    if name in reference.layouts and not plain.get("clusters") and not list(_shorthand(plain, reference)):
        plain["clusters"] = list(_laid_out(plain, name, clouds, reference))
        for key in ("topology", "regions", "cluster_defaults"):
            plain.pop(key, None)
    return plain


def _laid_out(document: Document, topology: str, clouds: Clouds, reference: Reference) -> Iterator[dict[str, Any]]:
    defaults = document.get("cluster_defaults", {})
    only = next(iter(clouds)) if len(clouds) == 1 else ""
    for named, clusters in zip(document["regions"], reference.layouts[topology].regions, strict=True):
        provider, _, region = named.rpartition("/")
        provider = provider or defaults.get("provider") or only
        for blocks in clusters:
            yield {
                "provider": provider,
                "region": region,
                "building_block": blocks[0],
                "hosts": list(blocks),
                "env_type": defaults.get("env_type", "prod"),
                "control_plane": defaults.get("control_plane", {}),
                **{k: defaults[k] for k in ("worker_pools", "load_balancer") if k in defaults},
                **({"credential": c} if (c := defaults.get("credentials", {}).get(provider)) else {}),
            }


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


def _domain(row: Document, is_public_suffix: IsPublicSuffix) -> Iterator[Violation]:
    mode = row.get("mode", "")
    if not mode:
        yield Violation("spec.domain.mode", "is required: pool, byo-manual or byo-api", "required")
        return
    yield from _present(row, "spec.domain", wanted=_DOMAIN[mode])
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


def _shorthand(document: Document, reference: Reference) -> Iterator[Violation]:
    topology, clusters = document.get("topology", ""), document.get("clusters")
    regions = document.get("regions") or ()
    if topology and clusters:
        yield Violation("spec.topology", "excludes clusters; give one of the two", "exclusive")
    elif topology.endswith("+air-gap"):
        yield Violation("spec.topology", "air-gap layouts are not made by this release", "topology")
    elif topology:
        wanted = len(reference.layouts[topology].regions)
        if len(regions) != wanted:
            text = f"{topology} takes {wanted} region(s), {len(regions)} are given"
            yield Violation("spec.regions", text, "regions")
        if not document.get("cluster_defaults", {}).get("control_plane"):
            yield Violation("spec.cluster_defaults.control_plane", "is required with a topology", "required")
    elif not clusters:
        yield Violation("spec.clusters", "at least one cluster, or a topology, is required", "required")
    if not topology:
        for key in ("regions", "cluster_defaults"):
            if document.get(key):
                yield Violation(f"spec.{key}", "is refused without a topology", "unexpected")


def _clusters(rows: Sequence[Document], clouds: Clouds, reference: Reference) -> Iterator[Violation]:
    names: dict[str, int] = {}
    for i, row in enumerate(rows):
        path = f"spec.clusters[{i}]"
        found = list(_cluster(row, path, clouds))
        yield from found
        if not found:
            name = dimensions(row, clouds, reference).cluster_name
            if name in names:
                yield Violation(path, f"has the name of spec.clusters[{names[name]}], {name}", "unique")
            names.setdefault(name, i)
    if len(rows) > reference.max_clusters:
        yield Violation("spec.clusters", f"at most {reference.max_clusters}", "max_items")


def _cluster(row: Document, path: str, clouds: Clouds) -> Iterator[Violation]:
    for key in ("provider", "region", "building_block", "env_type"):
        if not row.get(key):
            yield Violation(f"{path}.{key}", "is required", "required")
    cloud = clouds.get(row.get("provider", ""))
    if row.get("provider") and cloud is None:
        known = ", ".join(sorted(clouds)) or "none"
        yield Violation(
            f"{path}.provider", f"no cloud plugin {row['provider']} is loaded (loaded: {known})", "provider"
        )
    if cloud and row.get("region") and row["region"] not in cloud.regions:
        known = ", ".join(sorted(cloud.regions))
        yield Violation(f"{path}.region", f"{cloud.provider} offers {known}, not {row['region']}", "region")
    if cloud and not row.get("credential") and not cloud.default_credential:
        yield Violation(f"{path}.credential", "is required", "required")
    hosts = row.get("hosts") or ()
    if hosts and row.get("building_block") and row["building_block"] not in hosts:
        yield Violation(f"{path}.hosts", f"must contain the building block {row['building_block']}", "hosts")
    yield from _plane(row.get("control_plane") or {}, f"{path}.control_plane")
    yield from _pools(row.get("worker_pools") or (), f"{path}.worker_pools")


def _plane(row: Document, path: str) -> Iterator[Violation]:
    if not row.get("size"):
        yield Violation(f"{path}.size", "is required", "required")
    if row.get("count", 0) not in (1, 3, 5):
        yield Violation(f"{path}.count", f"must be 1, 3 or 5, not {row.get('count', 0)}", "count")


def _pools(rows: Sequence[Document], path: str) -> Iterator[Violation]:
    for name, times in Counter(row.get("name", "") for row in rows).items():
        if times > 1:
            yield Violation(path, f"{times} pools are called {name or '(nothing)'}", "unique")
    for i, row in enumerate(rows):
        count, here = row.get("count", 0), f"{path}[{i}]"
        if count and not row.get("size"):
            yield Violation(f"{here}.size", "is required where count is above 0", "required")
        if not row.get("min", count) <= count <= row.get("max", count):
            text = f"min <= count <= max must hold, not {row.get('min', count)} <= {count} <= {row.get('max', count)}"
            yield Violation(here, text, "bounds")


def _network(row: Document) -> Iterator[Violation]:
    if base := row.get("cidr_base"):
        yield from _cidr(base, "spec.network.cidr_base")
        yield Violation("spec.network.cidr_base", "own address plans are not made by this release", "cidr")
    for i, text in enumerate(row.get("reserved_cidrs") or ()):
        yield from _cidr(text, f"spec.network.reserved_cidrs[{i}]")


def _access(row: Document) -> Iterator[Violation]:
    for i, text in enumerate(row.get("ssh_allowed_cidrs") or ()):
        yield from _cidr(text, f"spec.access.ssh_allowed_cidrs[{i}]")
    for i, line in enumerate(row.get("ssh_public_keys") or ()):
        if fault := key_fault(line):
            yield Violation(f"spec.access.ssh_public_keys[{i}]", fault, "ssh_key")


def _cidr(text: str, path: str) -> Iterator[Violation]:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        yield Violation(path, f"{text[:60]!r} is not a range without host bits", "cidr")


def _whole(document: Document) -> Iterator[Violation]:
    clusters = document.get("clusters") or ()
    regions = {(c.get("provider"), c.get("region")) for c in clusters}
    placement = document.get("placement", "single-region")
    if clusters and placement != "single-region" and len(regions) < 2:
        yield Violation("spec.placement", f"{placement} needs at least two regions", "placement")
    if document.get("ttl") and any(c.get("env_type") not in ("dev", "poc") for c in clusters):
        yield Violation("spec.ttl", "is for Sovereigns of dev and poc only", "ttl")
    if document.get("air_gap"):
        yield Violation("spec.air_gap", "air-gap Sovereigns are not made by this release", "air_gap")
    both = set((document.get("components") or {}).get("include", ())) & set(
        (document.get("components") or {}).get("exclude", ())
    )
    for name in sorted(both):
        yield Violation("spec.components.exclude", f"{name} is included too", "exclusive")
    if document.get("domain", {}).get("mode") == "pool" and len(_fqdn_or_empty(document)) > 253:
        yield Violation("spec.domain", "the full name has more than 253 characters", "fqdn")


def _fqdn_or_empty(document: Document) -> str:
    try:
        return fqdn(document)
    except KeyError:
        return ""


def _fewer_planes(old: Document, new: Document) -> list[Violation]:
    def key(row: Document) -> tuple[Any, ...]:
        return tuple(row.get(k) for k in ("provider", "region", "building_block", "env_type"))

    before = {key(c): c.get("control_plane", {}).get("count", 0) for c in old.get("clusters", ())}
    return [
        Violation(
            f"spec.clusters[{i}].control_plane.count",
            f"may rise, not fall from {before[key(c)]} to {c.get('control_plane', {}).get('count', 0)}",
            "count",
        )
        for i, c in enumerate(new.get("clusters", ()))
        if before.get(key(c), 0) > c.get("control_plane", {}).get("count", 0)
    ]


def _at(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document or None

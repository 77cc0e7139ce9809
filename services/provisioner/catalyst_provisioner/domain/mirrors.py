"""Air gap: what clusters would have from outside they have from mirrors, as addresses alone.

Invariants
  no way out   what a tree names lies on a mirror: a spec without one for the registry of the charts is refused;
  one mirror   of an address it is the one with the longest source, so that a part of a registry may lie elsewhere;
  no login     stands in a tree: a server learns it when it enrols.

What a mirror holds is not looked at. Charts are named by digest, so another content is refused where it is pulled.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from catalyst_sdk import Violation

Document = Mapping[str, Any]

CAPABILITY = "air_gap"
"""Of a cloud whose servers ask nobody outside when they boot."""
REGISTRY = "registry.catalyst.invalid/blueprints"
"""Where charts come from if nothing else is said: host and path."""
SUFFIX = "+air-gap"
"""Of a layout that has a cluster for the mirrors, in a region of its own."""
BLOCK = "mgt"
"""Building block of that cluster."""
KIND = "registry"
"""Kind of a credential that may read a mirror: a login, as for Git."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """What stands in place of a source."""

    source: str
    """A host, or a host and the beginning of a path: `ghcr.io`, `ghcr.io/acme`."""
    endpoint: str
    """`https://` or `oci://`, a host and perhaps a path."""
    credential: str = ""
    """Resource name of its login; empty where it asks nobody."""
    ca_bundle: str = ""
    """What its certificate is checked by, PEM; empty for the system's."""

    @property
    def place(self) -> str:
        """The endpoint without its scheme."""
        return self.endpoint.partition("://")[2].rstrip("/")

    @property
    def host(self) -> str:
        """The host of the endpoint, with its port where one is named."""
        return self.place.partition("/")[0]


def read(document: Document) -> tuple[Mirror, ...]:
    """Mirrors of a document."""
    rows = (document.get("air_gap") or {}).get("mirrors") or ()
    return tuple(
        Mirror(
            row["source"].rstrip("/"),
            row["endpoint"],
            (row.get("credential") or {}).get("name", ""),
            row.get("ca_bundle", ""),
        )
        for row in rows
    )  # fmt: skip - one mirror


def rewritten(address: str, mirrors: Sequence[Mirror]) -> str:
    """Where `address`, a host with a path, is had from; as it is where no mirror is for it."""
    nearest = mirror_of(address, mirrors)
    return nearest.place + address.removeprefix(nearest.source) if nearest else address


def mirror_of(address: str, mirrors: Sequence[Mirror]) -> Mirror | None:
    """What stands in place of it; None where no mirror is for it."""
    found = [m for m in mirrors if address == m.source or address.startswith(f"{m.source}/")]
    return max(found, key=lambda mirror: len(mirror.source), default=None)


def registries(mirrors: Sequence[Mirror]) -> dict[str, Any]:
    """What containerd is told, as k3s reads it (docs.k3s.io, private registry): images of a host come from its mirror."""
    found: dict[str, Any] = {}
    for mirror in mirrors:
        host, _, part = mirror.source.partition("/")
        place, _, path = mirror.place.partition("/")
        entry = found.setdefault(host, {"endpoint": [], "rewrite": {}})
        if f"https://{place}" not in entry["endpoint"]:
            entry["endpoint"].append(f"https://{place}")
        if part or path:
            entry["rewrite"][f"^{f'{part}/' if part else ''}(.*)"] = f"{path}/$1" if path else "$1"
    return {"mirrors": found}


def violations(document: Document, able: Mapping[str, bool]) -> Iterator[Violation]:
    """What is wrong with the air gap of an expanded document. `able`: by provider, whether its servers boot without it."""
    rows = (document.get("air_gap") or {}).get("mirrors") or ()
    if not document.get("air_gap"):
        return
    for i, row in enumerate(rows):
        yield from _mirror(row, f"spec.air_gap.mirrors[{i}]")
    yield from _told_apart(rows)
    for source, times in Counter(str(row.get("source", "")).rstrip("/") for row in rows).items():
        if times > 1:
            yield Violation("spec.air_gap.mirrors", f"{times} are for {source or '(nothing)'}", "unique")
    if rewritten(REGISTRY, [Mirror(str(row.get("source", "")), "https://x") for row in rows]) == REGISTRY:
        text = f"names no mirror for {REGISTRY.partition('/')[0]}, where charts come from"
        yield Violation("spec.air_gap.mirrors", text, "required")
    clusters = document.get("clusters") or ()
    if clusters and not _has_own(clusters):
        text = f"needs a cluster of block {BLOCK} alone in its region, as layouts ending in {SUFFIX} have"
        yield Violation("spec.air_gap", text, "air_gap")
    for provider in sorted({str(row.get("provider")) for row in clusters} & able.keys()):
        if not able[provider]:
            yield Violation("spec.air_gap", f"servers of {provider} have what they boot with from outside", "air_gap")


def _mirror(row: Document, path: str) -> Iterator[Violation]:
    source, endpoint = str(row.get("source", "")), urlsplit(str(row.get("endpoint", "")))
    if not source or "://" in source:
        yield Violation(f"{path}.source", "must be a host or a registry without a scheme, such as ghcr.io", "source")
    plain = not (endpoint.username or endpoint.query or endpoint.fragment)
    if endpoint.scheme not in ("https", "oci") or not endpoint.hostname or not plain:
        text = "must be https:// or oci://, a host and perhaps a path, without a login"
        yield Violation(f"{path}.endpoint", text, "endpoint")
    elif source and source.partition("/")[0] == endpoint.netloc:
        yield Violation(f"{path}.endpoint", "is the source itself", "endpoint")
    if row.get("ca_bundle") and "-----BEGIN CERTIFICATE-----" not in row["ca_bundle"]:
        yield Violation(f"{path}.ca_bundle", "must hold certificates as PEM", "ca_bundle")


def _told_apart(rows: Sequence[Document]) -> Iterator[Violation]:
    """A host has one login and one authority, whatever it stands in place of: that is all that containerd takes."""
    known: dict[str, tuple[Any, Any]] = {}
    for i, row in enumerate(rows):
        host = str(row.get("endpoint", "")).partition("://")[2].partition("/")[0]
        access = ((row.get("credential") or {}).get("name"), row.get("ca_bundle") or None)
        if known.setdefault(host, access) != access:
            text = f"{host} has another login or authority above; a host has one"
            yield Violation(f"spec.air_gap.mirrors[{i}]", text, "unique")


def _has_own(clusters: Sequence[Document]) -> bool:
    """Whether a region has one cluster, and that one nothing but the block of the mirrors."""
    places = Counter((row.get("provider"), row.get("region")) for row in clusters)
    return any(
        places[row.get("provider"), row.get("region")] == 1
        and {row.get("building_block"), *(row.get("hosts") or ())} == {BLOCK}
        for row in clusters
    )

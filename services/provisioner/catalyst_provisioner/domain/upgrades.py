"""Versions of k3s: one minor at a time, from what a cluster runs to what is wished."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from catalyst_sdk.cloud import Action, Binary, Finding, InfraPlan, Severity

from .wishes import Document, Wish

VERSION = re.compile(r"^v(\d+)\.(\d+)\.(\d+)\+k3s(\d+)$")
MADE = (Action.CREATE, Action.REPLACE)
Binaries: TypeAlias = Callable[[str, str], Sequence[Binary] | None]


def of(wish: Wish, runs: Mapping[str, str]) -> tuple[dict[str, tuple[str, str]], list[Finding]]:
    """Versions before and after of the clusters in which they differ, and what is no single step.

    runs   what each cluster was last heard to run; one that says no version of k3s is left alone
    """
    rising, found = {}, []
    for i, cluster in enumerate(wish.clusters):
        before = runs.get(cluster.name, "")
        old, new = VERSION.match(before), VERSION.match(cluster.k3s)
        if old is None or new is None or before == cluster.k3s:
            continue
        rising[cluster.name] = (before, cluster.k3s)
        (major, minor), (to_major, to_minor) = (tuple(map(int, m.groups()[:2])) for m in (old, new))
        if (to_major, to_minor) not in ((major, minor), (major, minor + 1)):
            text = f"{cluster.name} runs {before}; {cluster.k3s} is more than one minor away"
            remedy = f"take a version v{major}.{minor + 1} first"
            path = f"spec.clusters[{i}].k3s_version"
            found.append(Finding("upgrade.minor", Severity.ERROR, path, text, remedy))
    return rising, found


def unfetched(
    wish: Wish, infra: Mapping[str, InfraPlan], rising: Collection[str], binaries: Binaries
) -> Iterator[Finding]:
    """Clusters whose servers would have to fetch a version of k3s of which nobody has said where it lies.

    infra      what each cloud would do, by cluster
    rising     clusters that take another version
    binaries   what servers of a provider fetch for a version; None where they fetch nothing
    """
    for i, cluster in enumerate(wish.clusters):
        changes = infra[cluster.name].changes if cluster.name in infra else ()
        fetches = cluster.name in rising or any(one.kind == "server" and one.action in MADE for one in changes)
        known = binaries(cluster.provider, cluster.k3s) if fetches else None
        if known is not None and not known:
            text = f"nobody has said where servers of {cluster.provider} fetch k3s {cluster.k3s}"
            remedy = f"configure the binaries of cloud_provider:{cluster.provider}, or wish the version that it has"
            yield Finding("boot.version", Severity.ERROR, f"spec.clusters[{i}].k3s_version", text, remedy)


def raised(document: Document, newest: str) -> Document:
    """The spec with each cluster at the newest version that is known, where it names an older one itself."""
    clusters = [
        {**row, "k3s_version": newest} if _order(row.get("k3s_version")) < _order(newest) and row.get("k3s_version") else row
        for row in document.get("clusters", ())
    ]  # fmt: skip
    return {**document, "clusters": clusters}


def _order(version: str | None) -> tuple[int, ...]:
    match = VERSION.match(version or "")
    return tuple(map(int, match.groups())) if match else ()

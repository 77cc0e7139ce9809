"""Versions of k3s: one minor at a time, from what a cluster runs to what is wished."""

import re
from collections.abc import Mapping

from catalyst_sdk.cloud import Finding, Severity

from .wishes import Document, Wish

VERSION = re.compile(r"^v(\d+)\.(\d+)\.(\d+)\+k3s(\d+)$")


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

"""`python -m catalyst_cloud_sandbox.agent.fetch`: pull the tree and answer its HelmReleases, then end.

A process of its own: Git and YAML would stay in the agent's memory for ever, and a hostile repository can hurt only this.
In: one JSON object on stdin (url, branch, path, commit, username, password, folder). Out: one JSON object on stdout,
`{"commit", "releases"}`, or exit code 1 and a sentence on stderr.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

FOLDERS = ("sources", "config", "claims", "kit", "apps")
LARGEST = 1024 * 1024
"""Bytes of one manifest file."""


class Unusable(Exception):
    """The tree cannot be taken over; the sentence says which file and why."""


def fetch(url: str, branch: str, folder: str, *, commit: str, username: str, password: str) -> tuple[Any, Any]:
    """Bring the bare copy in `folder` up to date; the repository and the commit that is wished."""
    from dulwich.client import get_transport_and_path
    from dulwich.repo import Repo

    try:
        repo = Repo(folder)
    except Exception:  # not there yet, or cut off while being made
        repo = Repo.init_bare(folder, mkdir=not _exists(folder))
    client, path = get_transport_and_path(url, username=username or None, password=password or None)
    refs: dict[Any, Any] = dict(client.fetch(path, repo).refs)
    wanted: Any = commit.encode() or refs.get(f"refs/heads/{branch}".encode())
    if not wanted:
        raise Unusable(f"there is no branch {branch}")
    if wanted not in repo.object_store:
        raise Unusable(f"commit {commit} is not in the repository")
    return repo, repo[wanted]


def manifests(repo: Any, commit: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """File and object for each manifest below `path` that matters here. Raises Unusable."""
    root = _folder(repo, commit.tree, path)
    if root is None:
        raise Unusable(f"the tree has no folder {path}")
    for name in FOLDERS:
        part = _folder(repo, root, name)
        for entry in repo[part].items() if part else ():
            file = entry.path.decode()
            if file.endswith((".yaml", ".yml")) and repo[entry.sha].type_name == b"blob":
                for document in parse(file, repo[entry.sha].data):
                    yield f"{path}/{name}/{file}", document


def parse(file: str, text: bytes) -> list[dict[str, Any]]:
    """The objects of one file."""
    import yaml

    if len(text) > LARGEST:
        raise Unusable(f"{file} is larger than {LARGEST} bytes")
    try:
        documents = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        raise Unusable(f"{file} is not YAML: {error}") from error
    return [document for document in documents if isinstance(document, dict)]


def releases(found: Iterable[tuple[str, dict[str, Any]]], namespace: str = "") -> list[dict[str, Any]]:
    """The HelmReleases among the manifests, with version and digest of the charts that they refer to.

    namespace   where all of them are, whatever they say; empty: where each says
    """
    documents = list(found)
    charts = {}
    for _, document in documents:
        if document.get("kind") in ("OCIRepository", "HelmChart"):
            charts[_name(document)] = (document.get("spec") or {}).get("ref") or document.get("spec") or {}
    answer = []
    for file, document in documents:
        if document.get("kind") == "HelmRelease":
            try:
                answer.append(_release(document, charts, namespace))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise Unusable(f"{file} holds a HelmRelease without usable {error}") from error
    return answer


def k3s(found: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """The version of k3s that the tree wishes; empty where it says none."""
    wished = [d for _, d in found if d.get("kind") == "ConfigMap" and _name(d) == "catalyst-k3s"]
    return str((wished[0].get("data") or {}).get("version", "")) if wished else ""


def claims(found: Iterable[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Claims of Crossplane: what each adopts, and whether it only looks."""
    return [
        {
            "kind": str(document.get("kind", "")),
            "name": _name(document),
            "external_name": str(
                ((document.get("metadata") or {}).get("annotations") or {}).get("crossplane.io/external-name", "")
            ),
            "observe_only": (document.get("spec") or {}).get("managementPolicies") == ["Observe"],
        }
        for _, document in found
        if str(document.get("apiVersion", "")).startswith("compose.openova.io/")
    ]


def seconds(text: str) -> float:
    """A duration as Flux writes it: `15m`, `1h30m`, `90s`."""
    units = {"h": 3600, "m": 60, "s": 1}
    total, number = 0.0, ""
    for letter in str(text):
        if letter in units:
            total += float(number) * units[letter]
            number = ""
        else:
            number += letter
    if number:
        raise ValueError(f"duration {text!r}")
    return total


def _name(document: Mapping[str, Any]) -> str:
    return str((document.get("metadata") or {}).get("name", ""))


def _release(document: Mapping[str, Any], charts: Mapping[str, Mapping[str, Any]], forced: str) -> dict[str, Any]:
    meta, spec = document["metadata"], document["spec"]
    namespace = forced or str(meta.get("namespace", "flux-system"))
    inline = (spec.get("chart") or {}).get("spec") or {}
    chart = charts.get(str((spec.get("chartRef") or {}).get("name", "")), inline)
    digest = str(chart.get("digest", ""))
    needs = [f"{forced or one.get('namespace', namespace)}/{one['name']}" for one in spec.get("dependsOn") or ()]
    # Another chart is another generation too, though the object itself stays the same.
    plain = json.dumps([spec, digest], sort_keys=True, default=str).encode()
    return {
        "name": str(meta["name"]),
        "namespace": namespace,
        "target_namespace": str(spec.get("targetNamespace", namespace)),
        "depends_on": needs,
        "timeout": seconds(spec.get("timeout", "5m")),
        "version": str(chart.get("tag") or chart.get("version") or ""),
        "digest": digest,
        "suspended": bool(spec.get("suspend", False)),
        "fingerprint": hashlib.sha256(plain).hexdigest(),
    }


def _folder(repo: Any, tree: bytes, path: str) -> bytes | None:
    for part in path.encode().split(b"/"):
        try:
            tree = repo[tree][part][1]
        except KeyError:
            return None
        if repo[tree].type_name != b"tree":
            return None
    return tree


def _exists(folder: str) -> bool:
    from pathlib import Path

    return Path(folder).is_dir()


def main() -> int:
    """Run once."""
    asked = json.load(sys.stdin)
    path = asked.pop("path").strip("/")
    try:
        repo, commit = fetch(**asked)
        documents = list(manifests(repo, commit, path))
        found = {
            "commit": commit.id.decode(), "releases": releases(documents), "k3s": k3s(documents), "claims": claims(documents)
        }  # fmt: skip
    except Exception as error:  # whatever the far side did: one sentence, and the agent goes on with the old tree
        # Clients quote the URL in their errors, never the login, which is sent in a header.
        sys.stderr.write(f"{type(error).__name__}: {error}"[:500].replace("\n", " "))
        return 1
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())

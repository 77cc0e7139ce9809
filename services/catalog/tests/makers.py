"""Blueprints for tests, small and whole."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from catalyst_catalog.domain import manifest
from catalyst_catalog.domain.inspection import inspect
from catalyst_catalog.domain.universe import Release, State, release

BLUEPRINTS = Path(__file__).parents[3] / "blueprints"
THIRTEEN = (
    "bp-bge bp-cert-manager bp-cilium bp-cnpg bp-external-secrets bp-flux bp-keycloak bp-knative bp-kserve bp-librechat"
    " bp-llm-gateway bp-openbao bp-vllm"
)
"""What LibreChat needs, itself included."""
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def document(name: str, version: str | None = "1.0.0", **spec: Any) -> dict[str, Any]:
    """A manifest of the current shape that passes; `spec` replaces or adds."""
    whole: dict[str, Any] = {
        "version": version,
        "layer": "application",
        "card": {"title": name.removeprefix("bp-").title()},
        "manifests": {"source": {"kind": "HelmChart", "ref": f"oci://charts.example/{name}"}},
        **spec,
    }
    return {
        "apiVersion": "catalyst.openova.io/v1",
        "kind": "Blueprint",
        "metadata": {"name": name, "annotations": {"catalyst.openova.io/no-upstream": "true"}},
        "spec": {key: value for key, value in whole.items() if value is not None},
    }


def needs(**ranges: str) -> list[dict[str, str]]:
    """`depends` from `b="^1"`."""
    return [{"blueprint": f"bp-{name}", "version": text} for name, text in ranges.items()]


def one(name: str, version: str = "1.0.0", state: State = State.VERIFIED, *, owner: str = "", **spec: Any) -> Release:
    """A release."""
    checked = manifest.check(document(name, version, **spec))
    digest = f"sha256:{name}-{version}"
    return release(checked, digest=digest, source="sources/public", state=state, owner_org=owner)


@cache
def seed_releases() -> tuple[Release, ...]:
    """Every Blueprint of this repository."""
    found = []
    for folder in sorted(path for path in BLUEPRINTS.iterdir() if path.is_dir()):
        inspected = inspect(folder.name, {"blueprint.yaml": (folder / "blueprint.yaml").read_bytes()})
        found.append(release(inspected.manifest, digest=f"sha256:{folder.name}", source="sources/public"))
    return tuple(found)


def write(root: Path, name: str, content: Mapping[str, Any] | None = None, **spec: Any) -> Path:
    """Put a Blueprint folder under `root`; the name without its prefix is the folder's."""
    path = root / name.removeprefix("bp-") / "blueprint.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(content or document(name, **spec)), sort_keys=False))
    return path

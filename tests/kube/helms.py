"""The real helm at one API server and in one namespace."""

import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from catalyst_testkit.servers import need

from .server import KubeServer

VALUES: dict[str, Any] = {
    "sovereign": {"name": "home"},
    "image": {"registry": "registry.example/catalyst"},
    "postgresql": {"bundled": True},
    "powerdns": {"bundled": True},
}
Helm = Callable[..., subprocess.CompletedProcess[str]]


def helm_at(kube: KubeServer, namespace: str, home: Path) -> Helm:
    """`helm` with words and values; without hooks, as no Job would end."""
    places = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}

    def run(*words: str, **values: Any) -> subprocess.CompletedProcess[str]:
        file = home / f"{uuid.uuid4().hex}.yaml"
        file.write_text(yaml.safe_dump({**VALUES, **values}))
        given = ["--values", str(file), "--no-hooks"] if words[0] in ("install", "upgrade") else []
        where = ["--namespace", namespace, "--kubeconfig", str(kube.kubeconfig)]
        return subprocess.run(
            [need("helm", package="script/helm"), *words, *given, *where],
            env={**os.environ, **places}, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip

    return run

"""The chart on a real API server by the real helm: install, upgrade, roll back, uninstall, and what is left then.

No node runs a pod here, so hooks are left out (no Job would end), and what daemons do is tried by running them themselves.
"""

import json
import os
import re
import subprocess
import textwrap
import threading
import uuid
from pathlib import Path
from typing import Any

import yaml
from catalyst_testkit import releases
from catalyst_testkit.servers import need

from .helms import Helm
from .server import KubeServer

ROOT = Path(__file__).parents[2]
CHART = Path("deploy/helm/catalyst")
ROUTED: dict[str, Any] = {
    "sovereign": {"name": "home", "fqdn": "console.home.example"},
    "gatewayRoute": {"ingress": {"enabled": True}},
    "gateway": {"autoscaling": {"enabled": True}},
}
MADE = {
    "Deployment",
    "StatefulSet",
    "Service",
    "ServiceAccount",
    "NetworkPolicy",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Ingress",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
}  # fmt: skip - a list


def there(own_kube: KubeServer, namespace: str, release: str) -> dict[str, list[str]]:
    """What of a release is in the cluster, by kind."""
    words = [
        "kubectl",
        "--kubeconfig",
        str(own_kube.kubeconfig),
        "--namespace",
        namespace,
        "get",
        "-o",
        "json",
        "-l",
        f"app.kubernetes.io/instance={release}",
        "deployments,statefulsets,services,serviceaccounts,networkpolicies,configmaps,poddisruptionbudgets,ingresses,"
        "clusterroles,clusterrolebindings,roles,rolebindings,secrets,horizontalpodautoscalers,jobs",
    ]  # fmt: skip - a command
    done = subprocess.run(
        [need("kubectl", package="script/helm"), *words[1:]], capture_output=True, text=True, check=True, timeout=60
    )
    found: dict[str, list[str]] = {}
    for one in json.loads(done.stdout)["items"]:
        found.setdefault(one["kind"], []).append(one["metadata"]["name"])
    return found


def test_a_release_comes_changes_goes_back_and_leaves_nothing(
    own_kube: KubeServer, own_namespace: str, helm: Helm
) -> None:
    release = f"r{uuid.uuid4().hex[:6]}"
    done = helm("install", release, str(CHART), **ROUTED)
    assert done.returncode == 0, done.stderr
    first = there(own_kube, own_namespace, release)
    assert set(first) >= MADE
    assert f"{release}-catalyst-catalog" in first["Deployment"]

    again = helm("upgrade", release, str(CHART), catalog={"replicas": 4}, continuum={"enabled": False}, **ROUTED)
    assert again.returncode == 0, again.stderr
    changed = there(own_kube, own_namespace, release)
    assert f"{release}-catalyst-continuum" not in changed["StatefulSet"]
    path = f"/apis/apps/v1/namespaces/{own_namespace}/deployments/{release}-catalyst-catalog"
    assert own_kube.ask("GET", path)[1]["spec"]["replicas"] == 4

    back = helm("rollback", release, "1", "--no-hooks")
    assert back.returncode == 0, back.stderr
    assert there(own_kube, own_namespace, release) == first
    assert own_kube.ask("GET", path)[1]["spec"]["replicas"] == 2

    gone = helm("uninstall", release, "--no-hooks")
    assert gone.returncode == 0, gone.stderr
    assert there(own_kube, own_namespace, release) == {}
    status, _ = own_kube.ask(
        "GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sovereigns.catalyst.openova.io"
    )
    assert status == 200, "definitions stay, and all objects with them"


def test_from_the_release_before_and_back_all_objects_that_come_meanwhile_are_kept(
    own_kube: KubeServer, own_namespace: str, helm: Helm, tmp_path: Path
) -> None:
    release, done, made = f"r{uuid.uuid4().hex[:6]}", threading.Event(), list[str]()
    before = releases.unpack(ROOT, releases.earlier(ROOT), tmp_path / "before", str(CHART)) / CHART
    installed = helm("install", release, str(before))
    assert installed.returncode == 0, installed.stderr
    first = there(own_kube, own_namespace, release)
    path = "/apis/catalyst.openova.io/v1/secretpolicies"
    sample = yaml.safe_load(Path("deploy/samples/secretpolicy.yaml").read_text())

    def apply() -> None:
        while not done.is_set():
            name = f"p{len(made)}"
            status, answer = own_kube.ask("POST", path, sample | {"metadata": {"name": name}})
            assert status == 201, answer
            made.append(name)

    applying = threading.Thread(target=apply)
    applying.start()
    try:
        for words in (("upgrade", release, str(CHART)), ("rollback", release, "1", "--no-hooks")):
            count = len(made)
            changed = helm(*words, catalog={"replicas": 3}) if words[0] == "upgrade" else helm(*words)
            assert changed.returncode == 0, changed.stderr
            assert len(made) > count, "objects come all the while"
    finally:
        done.set()
        applying.join()
    assert there(own_kube, own_namespace, release) == first
    kept = {one["metadata"]["name"]: one["spec"] for one in own_kube.ask("GET", path)[1]["items"]}
    assert sorted(kept) == sorted(made)
    assert all(spec == kept[made[0]] for spec in kept.values())
    assert helm("uninstall", release, "--no-hooks").returncode == 0


def test_an_upgrade_that_the_schema_refuses_changes_nothing(
    own_kube: KubeServer, own_namespace: str, helm: Helm
) -> None:
    release = f"r{uuid.uuid4().hex[:6]}"
    assert helm("install", release, str(CHART), crds={"install": False}).returncode == 0
    before = there(own_kube, own_namespace, release)
    refused = helm("upgrade", release, str(CHART), crds={"install": False}, catalog={"replcas": 1})
    assert refused.returncode != 0
    assert "replcas" in refused.stderr
    assert there(own_kube, own_namespace, release) == before
    assert helm("uninstall", release, "--no-hooks").returncode == 0


def test_the_page_about_installing_says_what_works(own_kube: KubeServer, tmp_path: Path) -> None:
    page = Path("docs/how-to/install-on-kubernetes.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.S)
    name = f"t-{uuid.uuid4().hex[:10]}"
    script = "set -euo pipefail\n" + "".join(textwrap.dedent(block) for block in blocks)
    script = script.replace("catalyst-system", name).replace("helm install", "helm install --no-hooks")
    places = {f"HELM_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    programs = os.pathsep.join([str(Path(need("helm", package="script/helm")).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, **places, "PATH": programs, "KUBECONFIG": str(own_kube.kubeconfig)},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "deployment.apps/catalyst-catalog" in done.stdout
    away = [need("helm", package="script/helm"), "uninstall", "catalyst", "--no-hooks", "--namespace", name]
    away += ["--kubeconfig", str(own_kube.kubeconfig)]
    subprocess.run(away, env={**os.environ, **places}, capture_output=True, timeout=120, check=True)

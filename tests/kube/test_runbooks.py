"""What the pages tell people to type, typed: at a real API server, and objects let go by a real daemon."""

import asyncio
import base64
import os
import re
import subprocess
import textwrap
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from catalyst_mesh import Issuer
from catalyst_mesh.sealing import Sealer
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer, need

from lib.kube.tests.test_linting import SAMPLES
from services.environment.tests.house import serving_billing

from .helms import Helm
from .server import ISSUER, KubeServer
from .test_objects import ORGANIZATIONS, daemon, organization, ready

PAGES = Path("docs/runbooks/kubernetes")
SOVEREIGNS = "/apis/catalyst.openova.io/v1alpha1/sovereigns"
Typed = Callable[[str], subprocess.CompletedProcess[str]]


def blocks(page: str) -> list[str]:
    """The commands of a page, block by block."""
    return [textwrap.dedent(one) for one in re.findall(r"```sh\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.S)]


def typist(kube: KubeServer, where: str, home: Path) -> Typed:
    """Types commands of a page, of a release in the namespace `where`."""
    places = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    programs = os.pathsep.join([str(Path(need("helm", package="script/helm")).parent), os.environ["PATH"]])
    told = {**os.environ, **places, "PATH": programs, "KUBECONFIG": str(kube.kubeconfig)}

    def typed(script: str) -> subprocess.CompletedProcess[str]:
        whole = "set -euo pipefail\n" + script.replace("catalyst-system", where)
        done = subprocess.run(["bash", "-c", whole], env=told, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        return done

    return typed


def test_the_page_about_rotation_changes_the_token_of_nats_and_a_keyring(
    own_kube: KubeServer,
    own_namespace: str,
    helm: Helm,
    tmp_path: Path,
) -> None:
    assert helm("install", "catalyst", "deploy/helm/catalyst").returncode == 0
    typed, old = typist(own_kube, own_namespace, tmp_path), ["11" * 32, "22" * 32]
    ring = "\n".join(old)
    typed("kubectl -n catalyst-system create secret generic catalyst-nats --from-literal=token=old\n"
          f"kubectl -n catalyst-system create secret generic catalyst-sealing --from-literal=catalog='{ring}'")  # fmt: skip
    secrets = f"/api/v1/namespaces/{own_namespace}/secrets"

    def kept(name: str, key: str) -> str:
        return base64.b64decode(own_kube.ask("GET", f"{secrets}/{name}")[1]["data"][key]).decode()

    def restarted() -> set[str]:
        told = own_kube.ask("GET", f"/apis/apps/v1/namespaces/{own_namespace}/statefulsets")[1]["items"]
        told += own_kube.ask("GET", f"/apis/apps/v1/namespaces/{own_namespace}/deployments")[1]["items"]
        mark = "kubectl.kubernetes.io/restartedAt"
        return {
            one["metadata"]["name"]
            for one in told
            if mark in one["spec"]["template"]["metadata"].get("annotations", {})
        }

    nats, keyring = blocks("rotate")
    assert restarted() == set()
    typed(nats)
    assert re.fullmatch("[0-9a-f]{48}", kept("catalyst-nats", "token"))
    assert {"catalyst-nats", "catalyst-catalog", "catalyst-environment"} <= restarted()
    assert not {"catalyst-postgresql", "catalyst-powerdns"} & restarted()

    middle = typed(
        keyring.replace(
            "sleep 120", "kubectl -n catalyst-system get secret catalyst-sealing -o 'jsonpath=<{.data.catalog}>'"
        )
    )
    (told,) = re.findall("<(.*)>", middle.stdout)
    first, new, last = base64.b64decode(told).decode().split()
    assert [first, last] == old, "the new key opens, and seals nothing yet"
    assert kept("catalyst-sealing", "catalog").split() == [*old, new]
    (tmp_path / "ring").write_text(kept("catalyst-sealing", "catalog"))
    assert len(Sealer.from_file(tmp_path / "ring").ids) == 3


async def test_the_page_about_the_end_leaves_nothing_even_where_a_daemon_went_first(
    own_kube: KubeServer,
    own_namespace: str,
    helm: Helm,
    home: Path,
    clean_nats: NatsServer,
) -> None:
    kube = own_kube
    assert helm("install", "catalyst", "deploy/helm/catalyst").returncode == 0
    accounts = f"/api/v1/namespaces/{own_namespace}/serviceaccounts"
    wish = {"spec": {"audiences": [ISSUER], "expirationSeconds": 3600}}
    status, shown = kube.ask("POST", f"{accounts}/catalyst-environment/token", wish)
    assert status == 201, shown
    token = home / "api-token"
    token.write_text(shown["status"]["token"])
    Issuer.open(home / "issuer")
    orphan: dict[str, Any] = deepcopy(SAMPLES["sovereign"])
    orphan["metadata"] = {"name": "orphan", "finalizers": ["catalyst.openova.io/provisioner"]}
    assert kube.ask("POST", SOVEREIGNS, orphan)[0] == 201
    assert kube.ask("POST", ORGANIZATIONS, organization("acme"))[0] == 201
    typed, (objects, orphans, rest) = typist(kube, own_namespace, home), blocks("decommission")
    # Nobody lets the orphan go, and ten minutes would be waited for it.
    objects = objects.replace("--timeout=10m", "--timeout=20s || true").replace(
        "helm uninstall", "helm uninstall --no-hooks"
    )
    async with serving_billing() as (_, address):
        settings = {
            "nats_url": clean_nats.url,
            "database_url": f"sqlite+aiosqlite:///{home}/environment.db",
            "jwks_file": home / "issuer" / "jwks.json",
            "data_folder": home,
            "drain_seconds": 0,
            "billing_target": address,
            "kubernetes_url": kube.url,
            "kubernetes_issuer": ISSUER,
            "kubernetes_ca_file": kube.ca,
            "kubernetes_token_file": token,
            "controllers": True,
        }  # fmt: skip - a table
        async with daemon(settings):
            await eventually(lambda: ready(kube) == {"acme": "Active"}, within=120, what="the Organization is held")
            await asyncio.to_thread(typed, objects)
            assert ready(kube) == {}, "its daemon let it go"
    assert kube.ask("GET", f"{SOVEREIGNS}/orphan")[1]["metadata"]["deletionTimestamp"]
    kinds = objects.splitlines()[0]
    await asyncio.to_thread(typed, f"{kinds}\n{orphans}")
    assert kube.ask("GET", f"{SOVEREIGNS}/orphan")[0] == 404
    await asyncio.to_thread(typed, rest)
    assert kube.ask("GET", f"/api/v1/namespaces/{own_namespace}")[0] == 404
    for path in (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    ):
        named = [one["metadata"]["name"] for one in kube.ask("GET", path)[1]["items"]]
        assert not [name for name in named if "catalyst" in name or "openova" in name]

"""One daemon knows another by its projected token: a real TokenRequest, a real TokenReview, the right audience alone."""

from pathlib import Path
from typing import Any

import catalyst_catalog.app
import grpc
from catalyst.catalog.v1 import service_pb2, service_pb2_grpc
from catalyst_catalog.settings import CatalogSettings
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer

from .server import ADMIN, ISSUER, KubeServer


def token_of(kube: KubeServer, namespace: str, account: str, audience: str) -> str:
    """As the kubelet gets it for a projected volume."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    status, answer = kube.ask("POST", path, {"metadata": {"name": account}})
    assert status in (201, 409), answer
    wish = {"spec": {"audiences": [audience], "expirationSeconds": 600}}
    status, answer = kube.ask("POST", f"{path}/{account}/token", wish)
    assert status == 201, answer
    return str(answer["status"]["token"])


async def asked(address: str, token: str) -> grpc.StatusCode:
    """What comes of asking the catalogue as the owner of a token."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.CatalogServiceStub(channel)
        try:
            await stub.ListBlueprints(
                service_pb2.ListBlueprintsRequest(page_size=1),
                timeout=20,
                metadata=(("authorization", f"Bearer {token}"),),
            )
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


async def test_a_daemon_is_known_by_the_token_of_its_account(
    kube: KubeServer, namespace: str, home: Path, clean_nats: NatsServer
) -> None:
    own = home / "api-token"
    own.write_text(ADMIN)
    more: dict[str, Any] = {
        "nats_url": clean_nats.url,
        "blueprints": home,
        "kubernetes_url": kube.url,
        "kubernetes_issuer": ISSUER,
        "kubernetes_ca_file": kube.ca,
        "kubernetes_token_file": own,
        "workloads": {f"system:serviceaccount:{namespace}:catalyst-provisioner": "provisioner"},
    }  # fmt: skip - settings
    async with running(catalyst_catalog.app.compose, CatalogSettings, home, **more) as catalog:
        address = f"127.0.0.1:{catalog.daemon.ports[0]}"
        right = token_of(kube, namespace, "catalyst-provisioner", "catalyst-catalog")
        assert await asked(address, right) is grpc.StatusCode.OK
        for another in ("catalyst-billing", "https://kubernetes.default.svc"):
            wrong = token_of(kube, namespace, "catalyst-provisioner", another)
            assert await asked(address, wrong) is grpc.StatusCode.UNAUTHENTICATED
        stranger = token_of(kube, namespace, "somebody", "catalyst-catalog")
        assert await asked(address, stranger) in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        assert await asked(address, right[:-8] + "AAAAAAAA") is grpc.StatusCode.UNAUTHENTICATED

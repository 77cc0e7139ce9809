"""What comes from payment providers passes byte by byte; a voucher that is not accepted is shown as gone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst_gateway.app import compose
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer, free_port

pytestmark = pytest.mark.either_database


class Ears(stubs.ProviderServiceServicer):
    """A billing that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, dict[str, Any]]] = []

    async def ReceiveWebhook(self, request: Any, context: Any) -> rpc.ReceiveWebhookResponse:
        self.heard.append((request, dict(context.invocation_metadata())))
        return rpc.ReceiveWebhookResponse()


class Window(stubs.VoucherServiceServicer):
    """Shows vouchers; only one of them is accepted."""

    async def PreviewVoucher(self, request: Any, context: Any) -> rpc.PreviewVoucherResponse:
        return rpc.PreviewVoucherResponse(code=request.code, accepting=request.code == "GOOD")


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
async def http(home: Path, clean_nats: NatsServer, database: str, ears: Ears) -> AsyncIterator[httpx.AsyncClient]:
    server, port = grpc.aio.server(options=[("grpc.max_receive_message_length", 4 * 1024 * 1024)]), free_port()
    stubs.add_ProviderServiceServicer_to_server(ears, server)
    stubs.add_VoucherServiceServicer_to_server(Window(), server)
    billing = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    dead = {f"{name}_target": "127.0.0.1:9" for name in ("catalog", "pdm", "continuum", "provisioner")}
    values = {"database_url": database, "nats_url": clean_nats.url, "http_listen": f"127.0.0.1:{port}", **dead}
    async with running(compose, GatewaySettings, home, billing_target=billing, **values):
        transport = httpx.AsyncHTTPTransport(retries=10)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=60) as client:
            yield client
    await server.stop(None)


async def test_a_body_passes_byte_by_byte_with_its_headers_and_without_anybody_s_token(
    http: httpx.AsyncClient, ears: Ears
) -> None:
    body = b'{ "id":1 }\r\n\xff\x00 not even JSON'
    for kind in ("application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded"):
        headers = {"content-type": kind, "stripe-signature": "t=1,v1=ab", "authorization": "Bearer of a stranger"}
        answer = await http.post("/v1/billing/webhooks/stripe", content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"duplicate": False})
    request, metadata = ears.heard[0]
    assert (request.provider, request.body.data) == ("stripe", body)
    assert request.headers["stripe-signature"] == "t=1,v1=ab"
    assert "authorization" not in request.headers
    assert "authorization" not in metadata


async def test_a_body_that_is_too_large_is_refused_and_never_cut(http: httpx.AsyncClient, ears: Ears) -> None:
    answer = await http.post("/v1/billing/webhooks/stripe", content=b"x" * 2**21)
    assert (answer.status_code, answer.json()["reason"], ears.heard) == (413, "BODY_TOO_LARGE", [])


@pytest.mark.parametrize(("code", "status"), [("GOOD", 200), ("LATE", 410)])
async def test_a_code_that_is_not_accepted_now_is_shown_as_gone(
    http: httpx.AsyncClient, code: str, status: int
) -> None:
    answer = await http.post("/v1/billing/vouchers:preview", json={"code": code})
    assert (answer.status_code, answer.json()["code"]) == (status, code)

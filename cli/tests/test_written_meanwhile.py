"""A worker that writes a resource between a command's reading and its writing is not in the command's way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from catalyst_cli.api import Api, Refused
from catalyst_cli.context import Context
from catalyst_cli.failures import Failure

PATH = "/v1/allocations/acme.omani.works"


class Written:
    """A server whose resource is written by somebody else after each of the first `times` readings."""

    def __init__(self, times: int, reason: str = "ETAG_MISMATCH") -> None:
        self.times, self.reason, self.version = times, reason, 1
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            read, self.version = self.version, self.version + (self.times > 0)
            self.times -= 1
            return httpx.Response(200, json={"etag": f'"{read}"'})
        self.asked.append(request.url.params["requestId"])
        if request.url.params["etag"] == f'"{self.version}"':
            return httpx.Response(200, json={"verb": request.method, "mask": request.url.params.get("updateMask", "")})
        return httpx.Response(412, json={"reason": self.reason, "code": "ABORTED", "detail": "changed"})


def api_of(server: Written, folder: Path) -> Api:
    (folder / "token").write_text("t")
    api = Api(Context("http://server", folder / "token"))
    api._http = httpx.Client(base_url="http://server", transport=httpx.MockTransport(server))
    return api


@pytest.mark.parametrize(
    ("write", "answer"),
    [
        (lambda api: api.change(PATH, {"a": 1, "b": 2}, ("a", "b")), {"verb": "PATCH", "mask": "a,b"}),
        (lambda api: api.remove(PATH), {"verb": "DELETE", "mask": ""}),
    ],
)
def test_what_was_written_meanwhile_is_read_again_and_asked_under_another_id(
    write: Callable[[Api], Any], answer: dict[str, str], tmp_path: Path
) -> None:
    server = Written(times=3)
    with api_of(server, tmp_path) as api:
        assert write(api) == answer
    assert len(set(server.asked)) == 4


def test_another_refusal_is_told_at_once(tmp_path: Path) -> None:
    server = Written(times=3, reason="EPOCH_STALE")
    with api_of(server, tmp_path) as api, pytest.raises(Refused, match="changed"):
        api.remove(PATH)
    assert len(server.asked) == 1


def test_a_resource_that_never_stands_still_is_told_with_what_to_do(tmp_path: Path) -> None:
    with api_of(Written(times=1000), tmp_path) as api, pytest.raises(Failure, match="changes faster") as told:
        api.remove(PATH)
    assert told.value.next_step

"""Names as people type them reach the server as names, and one that is none is answered in their words."""

from pathlib import Path

import httpx
import pytest
from catalyst_cli.api import Api, Refused
from catalyst_cli.commands.name import fqdn
from catalyst_cli.context import Context
from catalyst_cli.failures import Failure


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("t")
    return file


def api_of(token: Path, answer: httpx.Response, asked: list[bytes]) -> Api:
    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return answer

    api = Api(Context("http://server", token))
    api._http = httpx.Client(base_url="http://server", transport=httpx.MockTransport(serve))
    return api


def test_nothing_of_a_name_becomes_a_query_or_is_dropped(token: Path) -> None:
    asked: list[bytes] = []
    with api_of(token, httpx.Response(200, json={}), asked) as api:
        api.get("/v1/sovereigns/a#b?c=d e", view="full")
        api.get("/v1/catalog/x/versions/1%2B2:readArtifact")
    assert asked == [b"/v1/sovereigns/a%23b%3Fc=d%20e?view=full", b"/v1/catalog/x/versions/1%2B2:readArtifact"]


def test_a_name_of_no_kind_is_wrong_usage_and_is_told_without_the_path_of_the_server(token: Path) -> None:
    problem = {
        "reason": "PATH_NOT_FOUND",
        "code": "NOT_FOUND",
        "detail": "there is no POST /v1/run-1:pause; see /v1/openapi.json",
    }
    with api_of(token, httpx.Response(404, json=problem), []) as api, pytest.raises(Refused) as refused:
        api.post("/v1/run-1:pause")
    assert (refused.value.exit_code, refused.value.what) == (2, "run-1 names nothing of this kind")


def test_a_name_is_the_same_in_capitals_and_with_the_roots_dot() -> None:
    assert fqdn.split(" Acme.OMANI.Works. ") == ("pools/omani.works", "acme")
    with pytest.raises(Failure, match="no name under a pool"):
        fqdn.split("omani.works")


def test_a_server_that_is_silent_is_not_waited_for_once_more(token: Path) -> None:
    asked = list[str]()

    def silent(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ReadTimeout("no answer", request=request)

    with Api(Context("http://server", token)) as api, pytest.raises(Failure, match="does not answer"):
        api._http = httpx.Client(base_url="http://server", transport=httpx.MockTransport(silent))
        api.get("/v1/sovereigns")
    assert asked == ["/v1/sovereigns"]

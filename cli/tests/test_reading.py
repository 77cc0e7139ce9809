"""Files and streams that go wrong are told in the same words everywhere, and never with a traceback."""

from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from catalyst_cli import reading
from catalyst_cli.api import Api, Refused
from catalyst_cli.context import Context
from catalyst_cli.failures import Failure
from catalyst_cli.tree import build
from typer.testing import CliRunner

NAMING = [
    ("pool", "create", "omani.example", "--file"),
    ("sovereign", "plan", "--file"),
    ("continuum", "apply", "--file"),
    ("credential", "create", "acme-hetzner", "--provider", "hetzner", "--values"),
    ("registrar", "accounts", "create", "acme-ovh", "--registrar", "ovh", "--credential"),
    ("resource", "lint"),
    ("blueprint", "publish", "blueprints/valkey", "--to", "https://registry.example", "--key"),
    ("billing", "account", "import"),
    ("catalog", "source", "create", "site", "--kind", "oci_index", "--config", "{}", "--key"),
]


@pytest.mark.parametrize("words", NAMING, ids=" ".join)
def test_a_file_that_is_absent_is_named_with_the_reason(
    words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALYST_CLI_SERVER", "http://server")
    monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(tmp_path / "token"))
    absent = tmp_path / "absent.yaml"
    failed = CliRunner().invoke(build(words[0]), [*words, str(absent)]).exception
    assert isinstance(failed, Failure), failed
    assert (failed.what, failed.exit_code) == (f"{absent} cannot be read: No such file or directory", 2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"a: [secret", "is no YAML"),
        (b"x" * (reading.MOST_BYTES + 1), "is larger than"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(content: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_bytes(content)
    with pytest.raises(Failure, match=f"{file} {told}"):
        reading.documents_of(file)


def api_of(folder: Path, frames: str) -> Api:
    (folder / "token").write_text("t")
    api = Api(Context("http://server", folder / "token"))
    answer = httpx.Response(200, text=frames, headers={"content-type": "text/event-stream"})
    api._http = httpx.Client(base_url="http://server", transport=httpx.MockTransport(lambda _: answer))
    return api


def test_what_a_stream_refuses_on_its_way_is_raised_with_every_fault(tmp_path: Path) -> None:
    frames = (
        'id: 7\nevent: step.done\ndata: {"seq": "7"}\n\nevent: error\ndata: {"code": "INVALID_ARGUMENT", "reason": '
        '"REQUEST_INVALID", "message": "wrong", "violations": [{"field": "parent", "description": "write it so"}]}\n\n'
    )
    with api_of(tmp_path, frames) as api, pytest.raises(Refused) as refused:
        assert [number for number, _, _ in api.stream("/v1/x")] == ["7"]
    assert refused.value.lines() == ["error: wrong", "  parent: write it so", "why: REQUEST_INVALID"]
    assert refused.value.exit_code == 2


def test_a_server_that_goes_away_ends_the_stream_so_that_the_caller_comes_back(tmp_path: Path) -> None:
    with api_of(
        tmp_path, 'event: error\ndata: {"code": "UNAVAILABLE", "reason": "DRAINING", "message": "away"}\n\n'
    ) as api:
        assert list(api.stream("/v1/x")) == []

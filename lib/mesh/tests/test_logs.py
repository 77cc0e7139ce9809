"""Logs: one line of JSON, and no secret in it by whatever way it came."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from catalyst_mesh import Caller, get_logger
from catalyst_mesh.calls import Call, enter
from catalyst_mesh.logs import configure, redact
from catalyst_sdk import Secret

CANARY = "canary-51e0"
JWT = f"eyJhbGciOiJFZDI1NTE5In0.{CANARY}.c2lnbmF0dXJl"
RESERVATION = f"rsv_0123456789abcdef{CANARY}"


@dataclass
class Login:
    user: str
    token: str


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    before, handlers, level = structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level

    def written(event: str = "said", **fields: Any) -> str:
        configure("billing")  # here, because pytest gives each phase of a test another stdout
        get_logger("test").info(event, **fields)
        return capsys.readouterr().out

    yield written
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    logging.getLogger().setLevel(level)
    logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize(
    "fields",
    [
        {"password": CANARY}, {"db_password": CANARY}, {"apiKey": CANARY}, {"api_key": CANARY}, {"Authorization": CANARY},
        {"secret": CANARY}, {"token": CANARY}, {"private_key_pem": CANARY}, {"credentials": [CANARY]},
        {"text": f"Bearer {JWT} was sent"}, {"text": RESERVATION}, {"metadata": {"authorization": CANARY}},
        {"request": {"rows": [{"password": CANARY}]}}, {"rows": [JWT]}, {"rows": {RESERVATION}}, {"login": Login("a", JWT)},
        {"error": ValueError(JWT)}, {"value": Secret(CANARY)}, {"body": JWT.encode()},
        {"url": f"postgresql://catalyst:{CANARY}@db/catalyst"}, {"text": f"ConnectError: nats://:{CANARY}@nats:4222 is away"},
        {"text": f"authorization: bearer {CANARY}"}, {"error": OSError(f"'Bearer {CANARY}' was refused")},
    ],
    ids=str,
)  # fmt: skip
def test_no_secret_is_written(line: Any, fields: dict[str, Any]) -> None:
    written = line(**fields)
    assert CANARY not in written
    assert json.loads(written)["event"] == "said"


def test_a_token_in_a_traceback_is_cut_out(line: Any) -> None:
    try:
        raise ValueError(f"refused {JWT}")
    except ValueError as error:
        written = line(exc_info=error)
    assert "Traceback" in written
    assert CANARY not in written


def test_ids_and_names_of_secrets_are_no_secrets() -> None:
    said = {"secret_name": "registrar/acme", "token_id": "7", "count": 3, "fine": True, "none": None, "rows": [1, "a"]}
    assert redact(None, "", dict(said)) == said


def test_a_line_is_one_line_and_says_where_and_when(line: Any) -> None:
    written = line(text='two\nlines "quoted" \u2028 ü')
    assert written.count("\n") == 1
    said = json.loads(written)
    assert (said["service"], said["where"], said["level"]) == ("billing", "test", "info")
    assert said["ts"].endswith("Z")


def test_a_line_names_the_call_that_is_served(line: Any) -> None:
    enter(Call("a.v1.S/Get", Caller("ada"), "wish-1"))
    said = json.loads(line())
    enter(Call())
    assert (said["rpc"], said["principal"], said["request_id"]) == ("a.v1.S/Get", "ada", "wish-1")
    assert (len(said["trace_id"]), len(said["span_id"])) == (32, 16)
    assert "rpc" not in json.loads(line())


def test_a_refusal_is_written_even_where_only_errors_are_wanted(capsys: pytest.CaptureFixture[str], line: Any) -> None:
    configure("billing", "ERROR", "sovereigns/home")
    get_logger("rpc").info("served")
    get_logger("rpc").warning("call refused", reason="CALL_DENIED", subject="eve\n{}")
    (written,) = capsys.readouterr().out.splitlines()
    said = json.loads(written)
    assert (said["level"], said["sovereign"], said["subject"]) == ("warning", "sovereigns/home", "eve\n{}")


def test_what_a_library_logs_is_one_line_of_ours_without_secrets(capsys: pytest.CaptureFixture[str], line: Any) -> None:
    line()
    try:
        raise ValueError(f"two\nlines and {JWT}")
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception of %s was never retrieved", RESERVATION)
    out, err = capsys.readouterr()
    (written,) = out.splitlines()
    said = json.loads(written)
    assert (said["event"], said["level"], said["where"]) == ("library says", "error", "asyncio")
    assert "Traceback" in said["exception"]
    assert CANARY not in out + err
    assert not err

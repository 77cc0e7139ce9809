"""Whoever asked for something cannot approve it; in a dev one person is two, and is told how."""

from pathlib import Path

import httpx
import pytest
from catalyst_cli.api import Api, Refused
from catalyst_cli.context import OPERATOR, SECOND, Context

PROBLEM = {"reason": "GATE_SELF_APPROVAL", "code": "PERMISSION_DENIED", "detail": "you asked for this run"}


def next_step(token: Path) -> str:
    token.write_text("t")
    api = Api(Context("http://server", token))
    api._http = httpx.Client(
        base_url="http://server", transport=httpx.MockTransport(lambda _: httpx.Response(403, json=PROBLEM))
    )
    with api, pytest.raises(Refused) as refused:
        api.post("/v1/sovereigns/omantel/runs/r-1:approve")
    return refused.value.next_step


def test_in_a_dev_the_second_person_is_named_and_elsewhere_somebody_else_is_asked(tmp_path: Path) -> None:
    assert next_step(tmp_path / OPERATOR) == "ask somebody else to say: catalyst run approve RUN"
    (tmp_path / SECOND).write_text("t")
    told = f"CATALYST_CLI_TOKEN_FILE={tmp_path / SECOND} catalyst run approve RUN"
    assert next_step(tmp_path / OPERATOR) == f"as the second person of this dev: {told}"
    assert next_step(tmp_path / SECOND).startswith("ask somebody else"), "who is the second one already has no third"

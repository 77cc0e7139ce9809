"""REST keeps to its own description: the OpenAPI document that the gateway serves, over the daemons behind it."""

import asyncio
import os
import re
from typing import Any
from zlib import crc32

import httpx
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode

from .edges import Edge, validator

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # What REST does with a request is the same over each database; the methods behind are asked on both by others.
    pytest.mark.parametrize("around", ["sqlite"], indirect=True),
]

SEED = 20261129
EXAMPLES = 2
"""Requests a mode and operation; there are some 280 operations."""
OPENING = frozenset({501, 503})
"""Answers from 500 on that are no bug: what this release does not serve, and what is away."""


def broken(edge: Edge, answer: Any, shape: Any = None) -> str:
    """What is wrong with an answer; nothing where it is as the document says."""
    kind = answer.headers["content-type"]
    kind = kind if isinstance(kind, str) else kind[0]  # schemathesis has a list
    if answer.status_code in (200, 201, 202):
        wrong = [] if shape is None else [f"{e.instance_path} {e.message}" for e in shape.iter_errors(answer.json())]
        return f"{answer.status_code} {kind} {wrong[:2]}" if wrong or kind != "application/json" else ""
    if answer.status_code >= 500 and answer.status_code not in OPENING:
        return f"{answer.status_code} {answer.text[:300]}"
    if kind != "application/problem+json":
        return f"{answer.status_code} is no problem but {kind}: {answer.text[:100]}"
    problem = answer.json()
    if problem["status"] != answer.status_code or not problem["reason"] or not answer.status_code >= 400:
        return f"{answer.status_code} {problem}"
    wrong = [e.message for e in edge.problem.iter_errors(problem)]
    return f"problem: {wrong}" if wrong else ""


LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_no_answer_is_outside_the_description(edge: Edge, mode: GenerationMode) -> None:
    """Operations with the first answer of each that is wrong: there are none."""
    asked = dict(edge.operations())
    if mode is GenerationMode.NEGATIVE:  # a path is text: nothing of it has a wrong type
        asked = {name: one for name, one in asked.items() if one.query or one.body}
    assert len(asked) > 100
    if not LONG:  # each in one of the two ways, as its name falls; in a long run in both
        turn = mode is GenerationMode.POSITIVE
        asked = {name: one for name, one in asked.items() if (crc32(name.encode()) % 2 == 0) is turn}
    with requests.Session() as session:
        found = {name: await first_wrong(edge, operation, mode, session) for name, operation in asked.items()}
    assert {name: why for name, why in found.items() if why} == {}


async def first_wrong(edge: Edge, operation: Any, mode: GenerationMode, session: requests.Session) -> str:
    """The first wrong answer of an operation; what is not served is asked once."""
    path = edge.url + re.sub(r"\{\w+\}", "0", operation.path)
    plain = await asyncio.to_thread(session.request, operation.method, path, headers=dict(edge.headers), timeout=60)
    if plain.status_code == 501:
        return broken(edge, plain)
    good = next(answer for status, answer in operation.definition.raw["responses"].items() if status.startswith("2"))
    shape = validator(edge.document, good["content"]["application/json"]["schema"])
    for case in drawn(operation, mode):
        answer = await asyncio.to_thread(
            case.call, base_url=edge.url, session=session, headers=dict(edge.headers), timeout=60
        )
        if why := broken(edge, answer, shape):
            return f"{why} to {case.as_curl_command()[:300]}"
    return ""


def drawn(operation: Any, mode: GenerationMode) -> list[Any]:
    """Requests made up for an operation.

    They are drawn in the thread of the daemons' loop, which stands meanwhile: Hypothesis takes whatever number a neighbour
    in another thread draws from `random`, for a retry's pause say, for one that the strategy drew behind its back.
    """
    cases = list[Any]()

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(mode))
    def draw(case: Any) -> None:
        cases.append(case)

    draw()
    return cases


TRAPS = [
    ("GET", "/v1/pools/%00", b"", 422),
    ("GET", "/v1/pools/%ED%A0%80", b"", 0),
    ("GET", "/v1/pools/%FF%FE", b"", 0),
    ("GET", "/v1/pools?pageSize=" + "9" * 5000, b"", 422),
    ("GET", "/v1/pools?pageSize=%C2%B2", b"", 422),
    ("GET", "/v1/pools?pageToken=%00", b"", 422),
    ("GET", "/v1/pools?filter=%ED%A0%80", b"", 0),
    ("POST", "/v1/pools", b'{"pool": {"name": "\\ud800"}}', 422),
    ("POST", "/v1/pools", b'{"pool": {"name": "pools/\\u0000"}}', 422),
    ("POST", "/v1/pools", b"\xff\xfe", 400),
    ("POST", "/v1/pools", b"[" * 100_000, 400),
    ("POST", "/v1/pools", b'{"pool": ' * 5000 + b"1" + b"}" * 5000, 0),
    ("POST", "/v1/pools", b'{"pool": {"name": ' + b"9" * 5000 + b"}}", 0),
    ("POST", "/v1/pools", b'{"validateOnly": 1e400}', 0),
    ("POST", "/v1/pools", b'{"validateOnly": NaN}', 400),
    ("TRACE", "/v1/pools", b"", 405),
    ("PUT", "/v1/pools", b"{}", 405),
    ("DELETE", "/v1/plugins", b"", 405),
]
"""Requests that a client of good will never sends; 0 where several refusals are fine."""


async def test_what_no_client_of_good_will_sends_is_refused_with_a_reason(edge: Edge) -> None:
    wrong = {}
    async with httpx.AsyncClient(base_url=edge.url, headers=edge.headers, timeout=60) as http:
        for verb, path, body, status in TRAPS:
            answer = await http.request(verb, path, content=body)
            why = broken(edge, answer)
            if why or (status or answer.status_code) != answer.status_code or not 400 <= answer.status_code < 500:
                wrong[f"{verb} {path[:40]} {body[:40]!r}"] = f"{answer.status_code} {why} {answer.text[:200]}"
            if answer.status_code == 405 and "GET" not in answer.headers["allow"]:
                wrong[f"{verb} {path}"] = answer.headers["allow"]
    assert wrong == {}

"""The tool's stream: what is understood, and that nothing else does harm."""

import json

import pytest
from catalyst_sdk.tofu.stream import (
    Diagnostic,
    Done,
    Drifted,
    Failed,
    Log,
    Planned,
    Started,
    UnknownDialect,
    Version,
    parse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

ADDRESS = {"addr": 'hcloud_server.worker["general-1"]', "resource_type": "hcloud_server"}


def line(type: str, **fields: object) -> str:
    return json.dumps({"@level": "info", "@message": "for people", "type": type, **fields})


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        (line("version", terraform="1.11.4", ui="1.2"), Version("1.11.4", "1.2")),
        (line("version", tofu="1.10.0", ui="1.2"), Version("1.10.0", "1.2")),
        (line("apply_start", hook={"resource": ADDRESS, "action": "create"}), Started(ADDRESS["addr"], "create")),
        (
            line("apply_complete", hook={"resource": ADDRESS, "action": "create", "id_key": "id", "id_value": "42"}),
            Done(ADDRESS["addr"], "create", "42"),
        ),
        (line("apply_errored", hook={"resource": ADDRESS, "action": "delete"}), Failed(ADDRESS["addr"], "delete")),
        (line("resource_drift", change={"resource": ADDRESS, "action": "delete"}), Drifted(ADDRESS["addr"], "delete")),
        (
            line("planned_change", change={"resource": ADDRESS, "action": "replace", "reason": "tainted"}),
            Planned(ADDRESS["addr"], "replace", "tainted"),
        ),
        (
            line("diagnostic", diagnostic={"severity": "warning", "summary": "old", "detail": "new"}),
            Diagnostic("warning", "old", "new"),
        ),
    ],
)
def test_a_line_means_what_its_type_says(told: str, meant: object) -> None:
    assert parse(told) == meant


@pytest.mark.parametrize(
    "told", [line("provision_progress"), line("type_of_next_year"), "{}", "[1]", "plain text", "{"]
)
def test_what_is_not_known_is_a_line_of_the_log(told: str) -> None:
    assert isinstance(parse(told), Log)


@pytest.mark.parametrize("ui", ["2.0", "", "0.9", "11.0"])
def test_another_major_version_of_the_stream_is_refused(ui: str) -> None:
    with pytest.raises(UnknownDialect, match=r"understood is 1\.x"):
        parse(line("version", terraform="9.0.0", ui=ui))


def test_a_page_instead_of_an_error_is_cut() -> None:
    told = parse(line("diagnostic", diagnostic={"severity": "error", "summary": "<html>" * 10_000}))
    assert isinstance(told, Diagnostic)
    assert len(told.summary) == 4_000


KEYS = st.sampled_from(["type", "hook", "change", "resource", "addr", "diagnostic"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
TYPES = st.sampled_from(
    ["apply_start", "apply_complete", "apply_errored", "planned_change", "resource_drift", "diagnostic"]
)


@settings(max_examples=60)
@given(TYPES, JSON, JSON, JSON)
def test_no_shape_of_a_line_raises(type: str, hook: object, change: object, diagnostic: object) -> None:
    parse(json.dumps({"type": type, "hook": hook, "change": change, "diagnostic": diagnostic}))

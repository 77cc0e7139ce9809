"""The closed language of conditions."""

from typing import Any

import pytest
from catalyst_catalog.domain import whens
from catalyst_catalog.domain.refusals import WhenInvalid, WhenTypeMismatch
from hypothesis import given
from hypothesis import strategies as st

SCOPE = {
    "config": {"postgres": {"mode": "embedded"}, "replicas": 3, "tls": True, "zones": ["a", "b"], "dash-ed": 1},
    "application": {"name": "shop"},
    "environment": {"type": "prod"},
}


@pytest.mark.parametrize(
    "text",
    [
        "config.postgres.mode == 'embedded'",
        'config.postgres.mode == "embedded"',
        "config.replicas >= 3 and config.replicas < 4",
        "not config.absent",
        "config.absent == null",
        "config.postgres.absent.deeper == null",
        "config.tls",
        "environment.type in ['stg', 'prod']",
        "'a' in config.zones",
        "application.name != 'store' or config.absent == 1",
        "not (config.tls and config.replicas == 1)",
        "config.dash-ed == 1",
        "false or true and true",
        "config.zones == ['a', 'b']",
        "-1 < config.replicas",
        "'b' > 'a'",
    ],
)
def test_it_holds(text: str) -> None:
    assert whens.parse(text).holds(SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        "config.postgres.mode == 'external'",
        "config.tls == 1",
        "config.replicas == true",
        "config.replicas == '3'",
        "true and false or false",
        "3 in [true, '3']",
        "config.absent",
        "null",
    ],
)
def test_it_does_not_hold(text: str) -> None:
    assert not whens.parse(text).holds(SCOPE)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("__import__('os')", 1),
        ("config.a == ", 13),
        ("config.a = 1", 10),
        ("config.a == 1 1", 15),
        ("1 + 1", 3),
        ("config", 1),
        ("secret.a", 1),
        ("config.a[0]", 9),
        ("(config.a", 10),
        ("[1, 2", 6),
        ("", 1),
        ("and", 1),
        ("'open", 1),
        ("config.a == " + "1" * 400, 257),
        ("(" * 20 + "true" + ")" * 20, 17),
        ("not " * 40 + "true", 65),
        ("config.a == 1.5", 13),
    ],
)
def test_what_is_not_understood_names_its_column(text: str, column: int) -> None:
    with pytest.raises(WhenInvalid) as invalid:
        whens.parse(text)
    assert invalid.value.metadata["column"] == str(column)


@pytest.mark.parametrize(
    "text",
    [
        "config.replicas < 'a'",
        "config.absent > 1",
        "1 in 2",
        "true < false",
        "config.replicas and true",
        "'a'",
        "not 1",
    ],
)
def test_ordering_and_truth_of_unlike_types_is_refused(text: str) -> None:
    with pytest.raises(WhenTypeMismatch):
        whens.parse(text).holds(SCOPE)


def test_the_paths_of_a_condition_are_known() -> None:
    assert whens.parse("config.b == 1 or not (application.name in ['x', config.a.c])").paths() == (
        "application.name", "config.a.c", "config.b",
    )  # fmt: skip


TOKENS = "config.a|application.name|and|or|not|in|true|false|null|1|'x'|==|!=|<|<=|(|)|[|]|,|."
words = st.sampled_from(TOKENS.split("|"))


@given(st.lists(words, max_size=24).map(" ".join) | st.text(max_size=40), st.sampled_from([SCOPE, {}, {"config": 3}]))
def test_any_text_has_an_answer_or_a_refusal(text: str, scope: Any) -> None:
    try:
        assert whens.parse(text).holds(scope) in (True, False)
    except (WhenInvalid, WhenTypeMismatch):
        return

"""Refusals: a template of ours, values of anybody's."""

import pytest
from catalyst_sdk import Code, Decision, Refused, Violation
from hypothesis import given
from hypothesis import strategies as st


class NameTaken(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "NAME_TAKEN", "{name} is held until {until}"


def test_the_sentence_has_every_value_of_the_metadata_that_it_names() -> None:
    refusal = NameTaken(name="acme", until="noon", holder="one")
    assert str(refusal) == refusal.sentence == "acme is held until noon"
    assert refusal.metadata == {"name": "acme", "until": "noon", "holder": "one"}


@pytest.mark.parametrize("outside", ["{until}", "{0}", "{name.__class__}", "{name!r:>1000000000}", "{", "}}", "%s%n"])
def test_text_from_outside_is_never_a_template(outside: str) -> None:
    assert NameTaken(name=outside, until="noon").sentence == f"{outside} is held until noon"


@given(st.text(), st.text())
def test_no_text_breaks_a_sentence(name: str, until: str) -> None:
    assert NameTaken(name=name, until=until).sentence == name + " is held until " + until


def test_a_value_that_is_missing_does_not_hide_the_refusal() -> None:
    assert NameTaken(name="acme").sentence == "acme is held until ?"


def test_values_are_text_for_machines() -> None:
    refusal = NameTaken(name=7, until=None, violations=(Violation("label", "is wrong", "rule"),))
    assert refusal.metadata == {"name": "7", "until": "None"}
    assert refusal.violations[0].rule == "rule"


def test_codes_have_the_numbers_of_grpc() -> None:
    import grpc

    assert {code.name: code.value for code in Code} == {
        status.name: status.value[0] for status in grpc.StatusCode if status.name in Code.__members__
    }


def test_a_decision_tells_nothing_unless_it_says_so() -> None:
    assert Decision("state").events == ()

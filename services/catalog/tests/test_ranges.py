"""Ranges as npm reads them."""

import pytest
from catalyst_catalog.domain import ranges
from catalyst_catalog.domain.refusals import RangeInvalid
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("*", "0.0.1 9.9.9", "1.0.0-rc.1"),
        ("1", "1.0.0 1.9.9", "0.9.9 2.0.0 1.0.0-rc.1"),
        ("1.4", "1.4.0 1.4.9", "1.3.9 1.5.0"),
        ("1.2.x", "1.2.0 1.2.9", "1.3.0"),
        ("^1.4", "1.4.0 1.9.9", "1.3.9 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0"),
        (">=1 <3", "1.0.0 2.9.9", "0.9.9 3.0.0"),
        ("1.0.x || ^2", "1.0.5 2.3.0", "1.1.0 3.0.0"),
        (">=1.0.0-rc.1", "1.0.0-rc.1 1.0.0-rc.2 1.0.0", "1.1.0-rc.1 0.9.0"),
    ],
)
def test_a_range_takes_what_npm_takes(text: str, inside: str, outside: str) -> None:
    assert all(ranges.matches(text, version) for version in inside.split())
    assert not any(ranges.matches(text, version) for version in outside.split())


@pytest.mark.parametrize("text", ["^^1", "latest", "", " ", "1.2.3.4", ">", "a || b", "1" * 300])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(RangeInvalid):
        ranges.parse(text)


def test_versions_order_by_precedence_not_by_text() -> None:
    assert ranges.newest_first(["1.9.0", "1.10.0", "1.10.0-rc.1", "2.0.0"]) == [
        "2.0.0",
        "1.10.0",
        "1.10.0-rc.1",
        "1.9.0",
    ]


@given(st.text(max_size=60), st.tuples(*[st.integers(0, 5)] * 3))
def test_any_text_is_a_range_or_refused(text: str, version: tuple[int, int, int]) -> None:
    try:
        ranges.matches(text, ".".join(map(str, version)))
    except RangeInvalid:
        return


@pytest.mark.parametrize(
    ("text", "candidate", "plainly", "early"),
    [
        ("^1.2", "1.3.0-rc.1", False, True),
        ("^1.2", "1.2.0-rc.1", False, False),
        ("^1.2", "2.0.0-rc.1", False, False),
        ("<2.0.0-rc.2", "2.0.0-rc.1", True, True),
        ("*", "1.0.0-rc.1", False, True),
        ("1.2.3", "1.2.3-rc.1", False, False),
        ("^1 || ^3", "3.1.0-beta", False, True),
        ("^1.2", "1.3.0", True, True),
        ("^1.2", "1.1.0", False, False),
    ],
)
def test_a_pre_release_lies_between_the_bounds_or_not(text: str, candidate: str, plainly: bool, early: bool) -> None:
    assert (ranges.matches(text, candidate), ranges.spans(text, candidate)) == (plainly, early)

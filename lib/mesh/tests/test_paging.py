"""Pages: opaque tokens, bound to the other parameters."""

import base64
import json

import pytest
from catalyst_mesh import Page
from catalyst_mesh.paging import DEFAULT_SIZE, PageSizeInvalid, PageTokenInvalid
from hypothesis import given
from hypothesis import strategies as st

ROWS = [f"row-{n:03}" for n in range(123)]


def walk(size: int, *scope: object) -> list[list[str]]:
    pages, token = [], ""
    while True:
        page = Page.of(size, token, *scope)
        rows = [row for row in ROWS if page.after is None or row > page.after][: page.size + 1]
        cut = page.cut(rows, lambda row: row)
        pages.append(list(cut.rows))
        token = cut.next_page_token
        if not token:
            return pages


@given(st.integers(1, 200))
def test_pages_hold_every_row_once_and_end(size: int) -> None:
    pages = walk(size, "acme")
    assert [row for page in pages for row in page] == ROWS
    assert all(len(page) == size for page in pages[:-1])
    assert pages[-1]


def test_zero_is_the_default_and_too_much_is_the_maximum() -> None:
    assert Page.of(0, "").size == DEFAULT_SIZE == 50
    assert Page.of(5000, "").size == 1000
    assert Page.of(5000, "", most=200).size == 200
    assert Page.of(0, "", most=20).size == 20


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(PageSizeInvalid, match="-1"):
        Page.of(-1, "")


def token_of(*scope: object) -> str:
    return Page.of(1, "", *scope).cut(ROWS, lambda row: row).next_page_token


@pytest.mark.parametrize("scope", [(), ("globex",), ("acme", "x"), ("ac", "me"), ('acme", "',)])
def test_a_token_belongs_to_its_parameters(scope: tuple[str, ...]) -> None:
    assert Page.of(1, token_of("acme"), "acme").after == ROWS[0]
    with pytest.raises(PageTokenInvalid):
        Page.of(1, token_of("acme"), *scope)


def coded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "token",
    ["x", "ü", "====", "e30", "bnVsbA", "AAAA", coded([]), coded({"s": 1}), coded({"a": 1}), coded("s"), coded(7),
     "\x00", " ", base64.urlsafe_b64encode(b"[" * 200_000).decode()],
)  # fmt: skip
def test_rubbish_is_refused(token: str) -> None:
    with pytest.raises(PageTokenInvalid):
        Page.of(1, token, "acme")


@given(st.text(min_size=1))
def test_no_text_breaks_it(token: str) -> None:
    with pytest.raises(PageTokenInvalid):
        Page.of(1, token, "acme")


def test_a_key_may_have_several_parts() -> None:
    page = Page.of(1, "", "x")
    token = page.cut(["a", "b"], lambda row: [row, 7]).next_page_token
    assert Page.of(1, token, "x").after == ["a", 7]

"""The canary's ear: whatever way somebody writes a secret, it is heard, in the midst of other text."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from .forms import ODD, forms

SECRET = f"canary-7f3a{ODD}canary-91c0"


def heard(text: bytes) -> bool:
    return any(form in text for _, form in forms(SECRET))


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", ["", "x", "xy"])
def test_base64_of_something_longer_is_heard(before: int, after: str) -> None:
    """As a login is sent: `user:password`."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert heard(b"Basic " + encode(f"{'u' * before}{SECRET}{after}".encode()))
        assert heard(encode(f"{'u' * before}{json.dumps({'a': SECRET})}{after}".encode()))
        assert not heard(encode(f"{'u' * before}{SECRET[:-1]}".encode()))


@pytest.mark.parametrize(
    "text",
    [
        SECRET, SECRET.encode().hex(), SECRET.encode().hex().upper(), json.dumps({"a": SECRET}), repr({"a": SECRET}),
        json.dumps(SECRET, ensure_ascii=False), json.dumps({"a": json.dumps({"b": SECRET})}), repr(SECRET.encode()),
        ascii([SECRET]), quote(f"http://{SECRET}/"), quote(SECRET, safe="").lower(), quote_plus(f"a {SECRET}"),
        html.escape(f"<p>{SECRET}"),
    ],
)  # fmt: skip
def test_what_is_written_another_way_is_heard(text: str) -> None:
    assert heard(f"before {text} after".encode())

"""What becomes of the answers of a registrar's API, and how often it is asked."""

import importlib
import sys
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from catalyst_sdk import Permanent, RateLimited, Temporary
from catalyst_sdk.credentials import Credential
from catalyst_sdk.registrar_http import MOST_BYTES, Api, Pace, Reply, Transports, pause_of

SECRET = "canary-0123456789"
CREDENTIAL = Credential({"key": SECRET}, {"properties": {"key": {"x-secret": True}}})


class Scripted(Transports):
    """Answers without a server, and remembers who asked."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        super().__init__()
        self.seen: list[httpx.Request] = []
        self._answer = answer

    def of(self, url: str) -> httpx.AsyncBaseTransport:
        def answered(request: httpx.Request) -> httpx.Response:
            self.seen.append(request)
            return self._answer(request)

        return httpx.MockTransport(answered)


def asked(answer: Callable[[httpx.Request], httpx.Response]) -> tuple[Api, Scripted]:
    transports = Scripted(answer)
    return Api(transports, CREDENTIAL, provider="acme", try_seconds=0.01), transports


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError(f"while asking {request.url}", request=request)


async def test_a_read_is_tried_three_times_and_a_write_once() -> None:
    api, transports = asked(broken)
    with pytest.raises(Temporary, match="ReadError"):
        await api.call("GET", "https://acme.example/x")
    assert len(transports.seen) == 3
    for method, writes in (("POST", None), ("GET", True)):
        transports.seen.clear()
        with pytest.raises(Temporary, match="read before trying again") as lost:
            await api.call(method, "https://acme.example/x", writes=writes)
        assert (len(transports.seen), lost.value.metadata) == (1, {"outcome": "unknown"})


async def test_no_exception_of_the_http_client_goes_along_because_it_holds_the_url() -> None:
    api, _ = asked(broken)
    with pytest.raises(Temporary) as lost:
        await api.call("GET", "https://acme.example/x", query=[("key", SECRET)], writes=True)
    one: BaseException | None = lost.value
    while one is not None:
        assert SECRET not in repr(one) + str(one)
        assert not isinstance(one, httpx.HTTPError)
        one = one.__cause__ or one.__context__


async def test_a_value_of_the_query_cannot_become_another_part_of_the_url() -> None:
    api, transports = asked(lambda _: httpx.Response(200))
    await api.call("GET", "https://acme.example/x", query=[("domain", "a&b=c#d/../e f")])
    assert dict(transports.seen[0].url.params) == {"domain": "a&b=c#d/../e f"}
    assert transports.seen[0].url.path == "/x"


@pytest.mark.parametrize(("given", "seconds"), [("7", 7), ("", 60), ("soon", 60)])
async def test_a_call_for_a_pause_is_told_with_its_length(given: str, seconds: int) -> None:
    api, _ = asked(lambda _: httpx.Response(429, headers={"Retry-After": given}))
    with pytest.raises(RateLimited) as limited:
        await api.call("POST", "https://acme.example/x")
    assert limited.value.retry_after == timedelta(seconds=seconds)


async def test_a_redirect_is_not_followed_with_the_credential() -> None:
    api, transports = asked(lambda _: httpx.Response(302, headers={"Location": "https://elsewhere.example/"}))
    reply = await api.call("GET", "https://acme.example/x")
    assert isinstance(failure := api.refused(reply), Permanent)
    assert (failure.reason, len(transports.seen)) == ("PROTOCOL_MISMATCH", 1)


async def test_a_sample_of_an_odd_answer_is_short_one_line_and_clean() -> None:
    api, _ = asked(lambda _: httpx.Response(200, text=f"<html>\n{SECRET} {'x' * 1000}"))
    await api.call("GET", "https://acme.example/x")
    sample = api.misunderstood("a page").metadata["sample"]
    assert (sample[:18], len(sample)) == ("<html> [redacted] ", 200)


async def test_an_endless_answer_ends() -> None:
    api, _ = asked(lambda _: httpx.Response(200, content=b"x" * (MOST_BYTES + 10)))
    assert len((await api.call("GET", "https://acme.example/x")).text) == MOST_BYTES


def test_a_reply_does_not_show_its_text() -> None:
    assert SECRET not in repr(Reply(200, SECRET, {"set-cookie": SECRET}))


def test_retry_after_may_be_a_date() -> None:
    passed = Reply(503, "", {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert pause_of(passed) == timedelta(0)
    assert pause_of(Reply(503, "")) is None


def test_a_pace_lets_so_many_pass_and_says_when_the_next_may() -> None:
    now = [100.0]
    pace = Pace(2, timedelta(seconds=60), lambda: now[0])
    for second in (100.0, 110.0):
        now[0] = second
        pace.spend("one", "acme")
    with pytest.raises(RateLimited) as limited:
        pace.spend("one", "acme")
    assert limited.value.retry_after == timedelta(seconds=50)
    pace.spend("two", "acme")
    now[0] = 160.0
    pace.spend("one", "acme")


def test_without_httpx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "catalyst_sdk.registrar_http")
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ModuleNotFoundError, match=r"install catalyst-sdk\[http\]"):
        importlib.import_module("catalyst_sdk.registrar_http")

"""What is no answer of the cell itself is no answer, and what must not be a cell is asked for nothing."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.witness import Swap
from catalyst_testkit.servers import folder
from catalyst_witness_cloudflare.cells import tag_of

from .servers import SqliteCell, witness

SLOT = "demo/shop"
IDENTITY = b'{"cellId": "it", "incarnation": 2, "consistency": "linearizable"}'
Answer = tuple[int, dict[str, str], bytes]
Answers = Callable[[str, str], Answer]


@pytest.fixture
def stranger() -> Iterator[Callable[[Answers], str]]:
    """Starts a server that answers what it is told by method and path; gives its URL."""
    running: list[ThreadingHTTPServer] = []

    def start(answers: Answers) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, body = answers(self.command, self.path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_GET  # noqa: N815 - the name that the server looks for

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def cell(answer: Answer) -> Answers:
    """A cell that names itself, and answers everything else with `answer`."""
    return lambda method, path: (200, {"Catalyst-Cell": "it"}, IDENTITY) if path == "/identity" else answer


async def test_a_plain_key_value_store_is_asked_for_nothing() -> None:
    home = folder()
    server = SqliteCell(home, "--consistency", "eventual")
    server.start()
    try:
        ours = witness(server.url)
        for ask in (
            ours.identity(cell="one"),
            ours.read(cell="one", slot=SLOT),
            ours.swap(cell="one", slot=SLOT, old=None, new=b"v1"),
        ):
            with pytest.raises(Permanent, match="two writers would both win") as refused:
                await ask
            assert refused.value.reason == "UNSAFE_WITNESS"
        with closing(sqlite3.connect(home / "cell" / "cell.db")) as kept:
            assert kept.execute("SELECT COUNT(*) FROM kept WHERE kind = 'cell'").fetchone() == (0,)
    finally:
        server.kill()
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}, b"<html>there is nothing here"),
        (200, {"ETag": tag_of(b"v1")}, b"v1"),
        (200, {"Catalyst-Cell": "other", "ETag": tag_of(b"v1")}, b"v1"),
        (200, {"Catalyst-Cell": "it"}, b"v1"),
        (200, {"Catalyst-Cell": "it", "ETag": tag_of(b"v2")}, b"v1"),
        (302, {"Catalyst-Cell": "it", "Location": "/elsewhere"}, b""),
        (503, {"Catalyst-Cell": "it"}, b""),
        (401, {"Catalyst-Cell": "it"}, b""),
    ],
)  # fmt: skip
async def test_what_does_not_come_from_the_cell_itself_is_neither_a_value_nor_its_absence(
    stranger: Callable[[Answers], str], answer: Answer
) -> None:
    with pytest.raises(Temporary):
        await witness(stranger(cell(answer))).read(cell="one", slot=SLOT)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, {"Catalyst-Cell": "it", "ETag": tag_of(b"v2")}, b""), Swap.APPLIED),
        ((412, {"Catalyst-Cell": "it", "ETag": tag_of(b"v9")}, b""), Swap.MISMATCH),
        ((412, {"ETag": tag_of(b"v9")}, b""), Swap.UNKNOWN),
        ((200, {"ETag": tag_of(b"v2")}, b""), Swap.UNKNOWN),
        ((200, {"Catalyst-Cell": "it"}, b""), Swap.UNKNOWN),
        ((200, {"Catalyst-Cell": "it", "ETag": tag_of(b"v1")}, b""), Swap.UNKNOWN),
        ((429, {"Catalyst-Cell": "it"}, b""), Swap.UNKNOWN),
        ((500, {"Catalyst-Cell": "it"}, b""), Swap.UNKNOWN),
    ],
)  # fmt: skip
async def test_every_answer_that_is_no_clear_yes_or_no_is_unknown(
    stranger: Callable[[Answers], str], answer: Answer, told: Swap
) -> None:
    assert await witness(stranger(cell(answer))).swap(cell="one", slot=SLOT, old=b"v1", new=b"v2") is told


@pytest.mark.parametrize("identity", [b"", b"[]", b"{}", b'{"cellId": "it", "incarnation": "soon"}', b"<html>"])
async def test_a_store_that_does_not_say_who_it_is_is_no_cell(
    stranger: Callable[[Answers], str], identity: bytes
) -> None:
    url = stranger(lambda method, path: (200, {"Catalyst-Cell": "it"}, identity))
    with pytest.raises(Temporary, match="no identity"):
        await witness(url).read(cell="one", slot=SLOT)


async def test_a_cell_that_was_made_anew_is_found_out_at_its_next_answer_and_then_asked_who_it_is(
    stranger: Callable[[Answers], str],
) -> None:
    ids = ["old"]
    url = stranger(
        lambda method, path: (
            (200, {"Catalyst-Cell": ids[0]}, IDENTITY.replace(b'"it"', f'"{ids[0]}"'.encode()))
            if path == "/identity"
            else (404, {"Catalyst-Cell": ids[0]}, b"")
        )
    )
    ours = witness(url)
    assert await ours.read(cell="one", slot=SLOT) is None
    ids[0] = "new"
    with pytest.raises(Temporary, match="another cell, new,"):
        await ours.read(cell="one", slot=SLOT)
    assert await ours.read(cell="one", slot=SLOT) is None
    assert (await ours.identity(cell="one")).id == "new"


async def test_the_token_is_in_no_error(stranger: Callable[[Answers], str]) -> None:
    ours = witness("http://127.0.0.1:1", token="the-secret")
    with pytest.raises(Temporary) as failed:
        await ours.read(cell="one", slot=SLOT)
    seen: BaseException | None = failed.value
    while seen is not None:
        assert "the-secret" not in f"{seen!r} {vars(seen)}"
        seen = seen.__cause__ or seen.__context__

"""The client for questions outside the mesh: one question's trouble is nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from catalyst_mesh.web import Web


class Odd:
    """Answers `/slow` when it is let, breaks off at `/broken`, answers all else at once. It counts connections."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.slow = asyncio.Event()
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
                if path == b"/broken":
                    break
                if path == b"/slow":
                    self.slow.set()
                    await self.let.wait()
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"said": true}')
                await writer.drain()
        writer.close()


@pytest.fixture
async def odd() -> AsyncIterator[Odd]:
    made = Odd()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    made.let.set()
    server.close()


async def test_a_question_that_fails_takes_no_other_down_with_it(odd: Odd) -> None:
    web = Web()
    waiting = asyncio.create_task(web.get(f"{odd.url}/slow"))
    await odd.slow.wait()
    with pytest.raises(OSError):
        await web.get(f"{odd.url}/broken")
    assert await web.get(f"{odd.url}/next") == {"said": True}
    odd.let.set()
    assert await waiting == {"said": True}
    await web.close()


async def test_who_closes_lets_questions_under_way_end_and_keeps_nothing_open(odd: Odd) -> None:
    web = Web()
    waiting = asyncio.create_task(web.get(f"{odd.url}/slow"))
    await odd.slow.wait()
    held = web._shared
    await web.close()
    assert held is not None
    assert not held.client.is_closed
    odd.let.set()
    assert await waiting == {"said": True}
    assert held.client.is_closed


async def test_after_a_failure_others_share_one_new_client(odd: Odd) -> None:
    web = Web()
    await web.get(f"{odd.url}/first")
    failures = await asyncio.gather(*(web.get(f"{odd.url}/broken") for _ in range(5)), return_exceptions=True)
    assert all(isinstance(failure, OSError) for failure in failures)
    before = odd.connections
    for _ in range(3):
        await web.get(f"{odd.url}/next")
    assert odd.connections == before + 1
    await web.close()

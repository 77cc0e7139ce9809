"""Connections to cells that are kept for the next message."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import dns.message
import dns.rcode
import dns.update
import pytest
from catalyst_sdk.witness import Swap
from catalyst_testkit import eventually
from catalyst_witness_dns_quorum import cells as plugin
from catalyst_witness_dns_quorum import lines
from catalyst_witness_dns_quorum.cells import DnsCells
from catalyst_witness_dns_quorum.lines import Answer, Lines

from .test_cells import witness


class Server:
    """Answers each message with itself in capitals; counts connections."""

    def __init__(self) -> None:
        self.opened, self.heard = 0, list[bytes]()
        self.served = list[asyncio.StreamWriter]()
        self.port = 0
        self.ends_unheard = False
        self.after: Callable[[asyncio.StreamWriter], None] = lambda writer: None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.served.append(writer)
        with suppress(EOFError, OSError):
            while True:
                message = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                self.heard.append(message)
                if self.ends_unheard and len(self.heard) > 1:
                    self.ends_unheard = False
                    break
                writer.write(len(message).to_bytes(2))
                await writer.drain()
                writer.write(message.upper())  # an answer may come in pieces
                await writer.drain()
                self.after(writer)
        writer.close()


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    server = Server()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
    for writer in server.served:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_messages_one_after_another_go_by_one_connection_and_those_at_once_by_one_each() -> None:
    async with running() as server:
        asked = Lines()
        for word in (b"one", b"two", b"three"):
            assert await asked.asked("127.0.0.1", server.port, word) == Answer(word.upper())
        assert server.opened == 1
        both = await asyncio.gather(*(asked.asked("127.0.0.1", server.port, word) for word in (b"four", b"five")))
        assert both == [Answer(b"FOUR"), Answer(b"FIVE")]
        assert server.opened == 2


@pytest.mark.parametrize("how", ["ended", "has spoken unasked", "idle for long"])
async def test_a_connection_that_is_not_as_it_was_left_is_not_used_again(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as server:
        asked, told = Lines(), asyncio.Event()

        def after(writer: asyncio.StreamWriter) -> None:
            if how == "ended":
                writer.close()
            elif how == "has spoken unasked":
                writer.write(b"?")
            told.set()

        server.after = after
        await asked.asked("127.0.0.1", server.port, b"one")
        await told.wait()
        if how == "idle for long":
            monkeypatch.setattr(lines, "IDLE", 0.0)
        else:
            (line,) = asked._idle["127.0.0.1", server.port]
            await eventually(lambda: not line.is_usable(), within=60, what="it is noticed")
        assert await asked.asked("127.0.0.1", server.port, b"two") == Answer(b"TWO")
        assert (server.opened, server.heard) == (2, [b"one", b"two"]), "and nothing was sent twice"


async def test_who_ends_a_connection_on_hearing_a_message_may_have_heard_it_twice() -> None:
    async with running() as server:
        asked = Lines()
        await asked.asked("127.0.0.1", server.port, b"one")
        server.ends_unheard = True
        assert await asked.asked("127.0.0.1", server.port, b"two") == Answer(b"TWO", repeated=True)
        assert server.heard == [b"one", b"two", b"two"]


async def test_whoever_gives_up_on_an_answer_leaves_no_connection_on_which_it_may_come() -> None:
    async with running() as server:
        asked, heard = Lines(), asyncio.Event()
        await asked.asked("127.0.0.1", server.port, b"one")
        server.after = lambda writer: heard.set()
        waiting = asyncio.create_task(asked.asked("127.0.0.1", server.port, b"two"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await asked.asked("127.0.0.1", server.port, b"three") == Answer(b"THREE")
        assert server.opened == 2


@pytest.mark.parametrize(("stands", "told"), [(b"new", Swap.APPLIED), (b"another", Swap.UNKNOWN)])
async def test_a_no_to_an_update_that_may_have_come_twice_is_no_answer_before_it_is_read_back(
    stands: bytes, told: Swap, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = witness("127.0.0.1:9")

    class Twice:
        async def ask(self, cell: str, message: dns.message.Message) -> tuple[dns.message.Message, bool]:
            answer = dns.update.UpdateMessage("witness.test")
            answer.set_rcode(dns.rcode.NXRRSET)
            return answer, True

    async def read(self: DnsCells, *, cell: str, slot: str) -> bytes:
        return stands

    monkeypatch.setattr(cells, "_way", Twice())
    monkeypatch.setattr(DnsCells, "read", read)
    monkeypatch.setattr(plugin, "_told", lambda answer: Swap.MISMATCH)
    assert await cells.swap(cell="one", slot="a/b", old=b"old", new=b"new") is told

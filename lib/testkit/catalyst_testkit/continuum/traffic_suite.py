"""What every driver of traffic over name servers must keep, over whatever servers it is.

Use it with a bench of your own:

class TestMine(TrafficSuite):
    @pytest.fixture
    def bench(self) -> Iterator[TrafficBench]: ...

Each test has a name of its own. Addresses are of documentation nets: nobody is asked there.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.update
import pytest
from catalyst_sdk.continuum import Effect, Traffic, Verdict

from catalyst_testkit.nameservers import update_key

from .late_updates import late_updates

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
FRONTS: Mapping[str, tuple[str, ...]] = {EAST: ("192.0.2.1", "2001:db8::1"), WEST: ("198.51.100.2",)}
"""Addresses by region; only one of the two has both families."""
WRITERS = 12
STRANGERS = "b3RoZXItc2VjcmV0LXdpdGgtMzItb2N0ZXRzLW9rISE="
"""Secret of a key that may update nothing."""
PATIENCE, IMPATIENCE = 10.0, 0.3
"""Seconds that a driver waits for a server that says nothing; the second where a test is about just that."""
PAUSE = 0.03
"""Seconds between two looks of a sampler, so that it does not take the processor from those it looks at."""


class Server(Protocol):
    """A name server that can die."""

    address: str

    def kill(self) -> None: ...

    def start(self) -> None: ...


class Make(Protocol):
    """Makes a driver for one name over authorities, `ip:port` by name."""

    def __call__(
        self, name: str, authorities: Mapping[str, str], *, secret: str = ..., patience: float = PATIENCE
    ) -> Traffic: ...


@dataclass
class TrafficBench:
    """Servers that know nothing of each other and have the same zone, and a maker of drivers."""

    zone: str
    servers: Mapping[str, Server]
    make: Make

    def driver(self, name: str, patience: float = PATIENCE, **others: str) -> Traffic:
        """A driver over all servers; `others` are reached by another address."""
        addresses = {which: server.address for which, server in self.servers.items()} | others
        return self.make(name, addresses, patience=patience)

    def fresh(self) -> str:
        """A name that nobody had."""
        return f"n{uuid4().hex[:12]}.{self.zone}"

    async def ask(self, which: str, name: str, kind: str) -> list[str]:
        """What a server answers, asked directly. Raises what dnspython does."""
        host, _, port = self.servers[which].address.rpartition(":")
        answer, _ = await dns.asyncquery.udp_with_fallback(
            dns.message.make_query(name, kind), host, timeout=1, port=int(port)
        )
        wanted = dns.rdatatype.from_text(kind)
        return sorted(str(one).strip('"') for rrset in answer.answer if rrset.rdtype == wanted for one in rrset)

    async def ttl(self, which: str, name: str) -> int:
        """The lifetime of its A records."""
        host, _, port = self.servers[which].address.rpartition(":")
        answer = await dns.asyncquery.tcp(dns.message.make_query(name, "A"), host, timeout=2, port=int(port))
        return answer.answer[0].ttl

    async def plant(self, which: str, name: str, kind: str, text: str) -> None:
        """Write a record as a stranger with the key does."""
        host, _, port = self.servers[which].address.rpartition(":")
        update = dns.update.UpdateMessage(self.zone, keyring=update_key())
        update.replace(dns.name.from_text(name), 60, kind, text)
        answer = await dns.asyncquery.tcp(update, host, timeout=60, port=int(port))
        assert answer.rcode() == dns.rcode.NOERROR

    async def mark(self, which: str, name: str) -> str:
        """The mark's text; empty where there is none."""
        return "".join(await self.ask(which, f"_continuum.{name}", "TXT"))


@dataclass
class Sampler:
    """What was seen at all times: by server, the epochs and whether a name was ever without an address."""

    bench: TrafficBench
    name: str
    epochs: dict[str, list[int]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            await asyncio.gather(*(self._look(which) for which in self.bench.servers))
            await asyncio.sleep(PAUSE)

    async def _look(self, which: str) -> None:
        with suppress(dns.exception.DNSException, OSError):
            mark = await self.bench.mark(which, self.name)
            if not await self.bench.ask(which, self.name, "A"):
                self.empty.append(which)
            self.epochs.setdefault(which, []).append(int(mark.split()[0].removeprefix("e=")))

    def check(self) -> None:
        """Never empty, and no epoch ever falls."""
        assert not self.empty
        for seen in self.epochs.values():
            assert seen == sorted(seen)


@asynccontextmanager
async def sampled(bench: TrafficBench, name: str) -> AsyncIterator[Sampler]:
    """Looks at a name during the block, as often as it can; the name has to be there."""
    sampler = Sampler(bench, name)
    task = asyncio.create_task(sampler.run())
    try:
        yield sampler
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    sampler.check()


async def moved(traffic: Traffic, holder: str, epoch: int) -> Effect:
    """The plan of a holder, applied."""
    return await traffic.apply(traffic.plan(holder=holder), epoch=epoch, run="r")


class TrafficSuite:
    """The tests that every driver over name servers passes, ours or a stranger's."""

    @pytest.fixture
    def name(self, bench: TrafficBench) -> str:
        """A name of this test's own."""
        return bench.fresh()

    async def test_a_name_leads_to_the_holder_at_every_authority_and_says_its_epoch(
        self, bench: TrafficBench, name: str
    ) -> None:
        traffic = bench.driver(name)
        assert not (await traffic.observe()).is_at(1)
        assert await moved(traffic, EAST, 1) is Effect.DONE
        view = await traffic.observe()
        assert view.is_at(1)
        assert {one.addresses for one in view.authorities} == {FRONTS[EAST]}
        assert await moved(traffic, WEST, 2) is Effect.DONE
        assert {one.addresses for one in (await traffic.observe()).authorities} == {FRONTS[WEST]}
        for which in bench.servers:
            assert await bench.ask(which, name, "AAAA") == []
            assert (await bench.mark(which, name)).startswith(f"e=2 h={WEST} ")
        checks = await traffic.verify(traffic.plan(holder=WEST), epoch=2)
        assert [check.verdict for check in checks] == [Verdict.PASS] * len(bench.servers)

    async def test_what_holds_already_is_not_written_again(self, bench: TrafficBench, name: str) -> None:
        assert await moved(bench.driver(name), EAST, 1) is Effect.DONE
        before = [await bench.mark(which, name) for which in bench.servers]
        assert await moved(bench.driver(name), EAST, 1) is Effect.DONE
        assert [await bench.mark(which, name) for which in bench.servers] == before

    @pytest.mark.parametrize(("holder", "epoch"), [(WEST, 2), (EAST, 2), (WEST, 3)])
    async def test_an_older_epoch_and_another_holder_of_the_same_one_change_nothing(
        self, bench: TrafficBench, name: str, holder: str, epoch: int
    ) -> None:
        assert await moved(bench.driver(name), EAST, 3) is Effect.DONE
        before = [await bench.mark(which, name) for which in bench.servers]
        assert await moved(bench.driver(name), holder, epoch) is Effect.STALE_EPOCH
        assert await bench.driver(name).set_ttl(ttl=5, epoch=2, run="r") is Effect.STALE_EPOCH
        assert [await bench.mark(which, name) for which in bench.servers] == before

    async def test_a_newer_epoch_at_one_authority_stops_the_write_at_all(self, bench: TrafficBench, name: str) -> None:
        first, *others = bench.servers
        assert await moved(bench.driver(name), EAST, 1) is Effect.DONE
        alone = bench.make(name, {first: bench.servers[first].address})
        assert await moved(alone, WEST, 3) is Effect.DONE
        assert await moved(bench.driver(name), EAST, 2) is Effect.STALE_EPOCH
        assert all([(await bench.mark(which, name)).startswith("e=1 ") for which in others])

    async def test_the_update_of_a_delayed_writer_comes_and_changes_nothing(self, bench: TrafficBench) -> None:
        for which, server in bench.servers.items():
            name = bench.fresh()
            assert await moved(bench.driver(name), EAST, 1) is Effect.DONE
            async with late_updates(server.address) as line, sampled(bench, name):
                slow = bench.driver(name, IMPATIENCE, **{which: line.address})
                while not line.held:
                    assert await moved(slow, EAST, 2) is Effect.UNKNOWN
                assert await moved(bench.driver(name), WEST, 3) is Effect.DONE
                assert set(await line.release()) == {dns.rcode.NXRRSET}
                assert await bench.ask(which, name, "A") == list(FRONTS[WEST])

    async def test_a_lifetime_that_comes_late_does_not_undo_the_one_that_was_restored(
        self, bench: TrafficBench
    ) -> None:
        for which, server in bench.servers.items():
            name = bench.fresh()
            traffic = bench.driver(name)
            assert await moved(traffic, EAST, 1) is Effect.DONE
            usual = await bench.ttl(which, name)
            async with late_updates(server.address) as line:
                slow = bench.driver(name, IMPATIENCE, **{which: line.address})
                while not line.held:
                    assert await slow.set_ttl(ttl=5, epoch=1, run="r") is Effect.UNKNOWN
                for ttl in (5, usual):
                    assert await traffic.set_ttl(ttl=ttl, epoch=1, run="r") is Effect.DONE
                    assert await bench.ttl(which, name) == ttl
                await line.release()
            assert await bench.ttl(which, name) == usual
            assert (await traffic.observe()).is_at(1)

    async def test_an_authority_that_was_down_during_the_flip_is_brought_there_and_holds_up_no_other(
        self, bench: TrafficBench
    ) -> None:
        for which, server in bench.servers.items():
            name = bench.fresh()
            traffic, hasty = bench.driver(name), bench.driver(name, IMPATIENCE)
            plan = traffic.plan(holder=WEST)
            others = sorted(set(bench.servers) - {which})
            assert await moved(traffic, EAST, 1) is Effect.DONE
            server.kill()
            try:
                while not all([(await bench.mark(other, name)).startswith("e=2 ") for other in others]):
                    assert await moved(hasty, WEST, 2) is Effect.UNKNOWN
                view = {one.authority: one for one in (await hasty.observe()).authorities}
                assert (view[which].answers, view[which].epoch) == (False, None)
                told = {check.name: check.verdict for check in await hasty.verify(plan, epoch=2)}
                assert told[f"authority-{which}"] is Verdict.UNKNOWN
            finally:
                server.start()
            checks = await traffic.verify(plan, epoch=2)
            assert {check.verdict for check in checks} == {Verdict.PASS, Verdict.BLOCK}
            async with sampled(bench, name):
                assert await moved(traffic, WEST, 2) is Effect.DONE
            assert (await traffic.observe()).is_at(2)

    async def test_writers_of_many_epochs_leave_the_name_in_the_newest_and_it_is_never_empty(
        self, bench: TrafficBench, name: str
    ) -> None:
        assert await moved(bench.driver(name), EAST, 1) is Effect.DONE

        async def write(epoch: int) -> Effect:
            traffic, effect = bench.driver(name), Effect.UNKNOWN
            while effect is Effect.UNKNOWN:
                effect = await moved(traffic, (EAST, WEST)[epoch % 2], epoch)
            return effect

        async with sampled(bench, name):
            effects = await asyncio.gather(*(write(epoch) for epoch in range(2, WRITERS + 2)))
        assert effects[-1] is Effect.DONE
        newest = f"e={WRITERS + 1} "
        assert all([(await bench.mark(which, name)).startswith(newest) for which in bench.servers])

    async def test_what_somebody_changed_by_hand_is_put_right_in_the_same_epoch(
        self, bench: TrafficBench, name: str
    ) -> None:
        first = next(iter(bench.servers))
        assert await moved(bench.driver(name), EAST, 1) is Effect.DONE
        await bench.plant(first, name, "A", "203.0.113.9")
        traffic = bench.driver(name)
        behind = await traffic.verify(traffic.plan(holder=EAST), epoch=1)
        assert Verdict.BLOCK in {check.verdict for check in behind}
        assert await moved(traffic, EAST, 1) is Effect.DONE
        assert await bench.ask(first, name, "A") == [FRONTS[EAST][0]]

    @pytest.mark.parametrize(
        ("owner", "kind", "text"), [("", "CNAME", "elsewhere.test."), ("_continuum.", "TXT", '"mine"')]
    )
    async def test_where_somebody_else_has_something_nothing_is_written_and_that_is_no_done(
        self, bench: TrafficBench, name: str, owner: str, kind: str, text: str
    ) -> None:
        first = next(iter(bench.servers))
        await bench.plant(first, f"{owner}{name}", kind, text)
        assert await moved(bench.driver(name), EAST, 1) is Effect.UNKNOWN
        assert await bench.ask(first, f"{owner}{name}", kind) == [text.strip('"')]
        assert await bench.mark(first, name) == ("mine" if owner else "")

    async def test_a_stranger_changes_nothing_and_is_told_nothing_good(self, bench: TrafficBench, name: str) -> None:
        assert await moved(bench.driver(name), EAST, 1) is Effect.DONE
        addresses = {which: server.address for which, server in bench.servers.items()}
        stranger = bench.make(name, addresses, secret=STRANGERS)
        assert await moved(stranger, WEST, 2) is Effect.UNKNOWN
        assert all([(await bench.mark(which, name)).startswith("e=1 ") for which in bench.servers])

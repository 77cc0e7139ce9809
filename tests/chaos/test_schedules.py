"""Faults of every kind by turns, on two replicas under load: what was acknowledged happened once, and nothing else did."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from catalyst_testkit import eventually
from catalyst_testkit.postgres import PostgresServer
from catalyst_testkit.servers import NatsServer
from catalyst_testkit.wires import Fate, Wire, wire
from sqlalchemy import make_url

from .callers import Names

pytestmark = pytest.mark.chaos
LEASE = 10.0
"""Seconds of the daemons' leases; who is frozen for longer wakes up as a zombie."""
SHORT = ("frozen", "cut off", "unanswered")
"""Of these a short run has one, by chance; what else may happen has short tests of its own."""


class Faults:
    """What may happen. Each one leaves everything whole again.

    line     by which the second replica reaches its database
    commits  the same, with an eye on COMMIT alone
    """

    def __init__(
        self, pdm: Names, postgres: PostgresServer, nats: NatsServer, line: Wire, commits: Wire, chosen: random.Random
    ) -> None:
        self._pdm, self._postgres, self._nats, self._chosen = pdm, postgres, nats, chosen
        self._line, self._commits = line, commits
        self.met: Counter[str] = Counter()
        self.all: dict[str, Callable[[], Awaitable[None]]] = {
            "frozen": self.frozen, "zombie": self.zombie, "cut off": self.cut_off, "killed": self.killed,
            "unanswered": self.unanswered, "no bus": self.no_bus, "no database": self.no_database, "drained": self.drained,
        }  # fmt: skip

    async def happens(self, name: str) -> None:
        """One of them, to its end; then calls go well again."""
        await self.all[name]()
        self.met[name] += 1
        await self._more(4)

    async def frozen(self) -> None:
        """A replica stands still for a moment, in the middle of whatever it does."""
        await self._still(self._chosen.uniform(0.2, 2))

    async def zombie(self) -> None:
        """It stands still until its leases and its transactions are another's."""
        await self._still(LEASE + 7)

    async def cut_off(self) -> None:
        """A replica has no database, while the other one has."""
        self._line.decide = lambda: Fate.LOST
        self._line.cut()
        await self._more(6)
        self._line.decide = lambda: Fate.ARRIVES

    async def unanswered(self) -> None:
        """Commits of one replica arrive, and their answers do not."""
        self._commits.decide = lambda: self._chosen.choice([Fate.UNANSWERED, Fate.ARRIVES])
        await self._more(6)
        self._commits.decide = lambda: Fate.ARRIVES

    async def killed(self) -> None:
        await self._pdm.restarted(self._chosen.choice(self._pdm.replicas.all))

    async def drained(self) -> None:
        assert await self._pdm.drained(self._chosen.choice(self._pdm.replicas.all)) == 0

    async def no_bus(self) -> None:
        self._nats.kill()
        await self._more(6)
        await asyncio.to_thread(self._nats.start)

    async def no_database(self) -> None:
        await asyncio.to_thread(self._chosen.choice([self._postgres.kill, self._postgres.stop]))
        await asyncio.to_thread(self._postgres.start)

    async def _still(self, seconds: float) -> None:
        replica = self._chosen.choice(self._pdm.replicas.all)
        replica.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)  # how long it stands still is the subject of this test
        replica.signal(signal.SIGCONT)

    async def _more(self, count: int) -> None:
        wanted = self._pdm.told.seen["OK"] + count
        await eventually(lambda: self._pdm.told.seen["OK"] >= wanted, within=120, what=f"{count} more calls go well")


async def test_whatever_happens_to_two_replicas_each_acknowledged_command_happened_once(
    pdm_on_own: Names, own_postgres: PostgresServer, own_nats: NatsServer, chosen: random.Random, long: bool
) -> None:
    pdm = pdm_on_own
    await pdm.start(2)
    far = pdm.replicas.all[1]
    async with wire(own_postgres.port, watched=b"") as line, wire(line.port) as commits:
        url = make_url(pdm.url).set(port=commits.port).render_as_string(hide_password=False)
        far.env = {**far.env, "CATALYST_PDM_DATABASE_URL": url}
        await pdm.restarted(far)
        faults = Faults(pdm, own_postgres, own_nats, line, commits, chosen)
        async with pdm.load(6, chosen):
            for name in chosen.sample([*faults.all] * 5, 40) if long else chosen.sample(SHORT, 1):
                await faults.happens(name)
        assert pdm.refused() == {}

        async def published() -> bool:
            return not await pdm.rows("SELECT 1 FROM outbox WHERE published_at IS NULL")

        await eventually(published, within=120, what="all events are published")
    acknowledged = pdm.told.acknowledged
    assert set(pdm.told.seen) <= {"OK", "UNAVAILABLE", "DEADLINE_EXCEEDED"}, (pdm.told.seen, _bugs(pdm))
    assert await pdm.events() == Counter(dict.fromkeys(acknowledged, 1)), (
        "each acknowledged command has exactly one event"
    )
    stored = await pdm.rows("SELECT label, version FROM allocation")
    assert sorted(label for label, _ in stored) == sorted(acknowledged), "none lost, none doubled"
    assert {version for _, version in stored} == {1}
    assert not _bugs(pdm)


def _bugs(pdm: Names) -> list[str]:
    return [line[-1200:] for line in pdm.replicas.logs().splitlines() if '"bug"' in line][:3]

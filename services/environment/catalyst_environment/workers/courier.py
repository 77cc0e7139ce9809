"""Brings what is written down for webhooks to their addresses.

Invariants
  at least once  a try is noted after it was made: whoever dies between the two leaves it to be made again;
  fair           a slow address holds up a few tries at a time, never those of others.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from catalyst_mesh import Lease, LeaseLost, Leases, Sealer, Unopened, Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import Secret

from ..domain import webhooks
from ..domain.signing import signed
from ..domain.webhooks import Attempt, Delivery, DeliveryState, Webhook
from ..sending import Sender
from ..store import Store
from ..store.tables import webhook_deliveries
from ..store.tables import webhooks as table

LEASE = "deliver"
MOST, MOST_OF_ONE = 32, 4
"""Tries at a time, of all webhooks and of one."""
PAUSE = 5.0
"""Seconds until a try is made again that failed by a fault of ours."""
UNREADABLE = "no secret of this webhook can be read: rotate it"
"""What a try is told to have failed by where a value stands in a row for which it was not sealed."""
Going = dict[tuple[str, str], "asyncio.Task[None]"]
"""Tries that are being made, by webhook and event."""


class Courier:
    """One replica at a time."""

    def __init__(
        self, work: Work[Store], leases: Leases, sender: Sender, sealer: Sealer, *,
        jitter: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._work = work
        self._leases = leases
        self._sender = sender
        self._sealer = sealer
        self._jitter = jitter
        self._log = get_logger("courier")

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._deliver, stop))

    async def _deliver(self, stop: asyncio.Event, lease: Lease) -> None:
        going: Going = {}
        with self._work.bell.listening(webhook_deliveries.name, table.name) as news:
            try:
                while not stop.is_set():
                    news.clear()
                    pause = await self._begin(going, stop, lease, news)
                    await self._work.bell.wait(stop, news, pause)
            finally:
                for task in going.values():
                    task.cancel()
                await asyncio.gather(*going.values(), return_exceptions=True)

    async def _begin(self, going: Going, stop: asyncio.Event, lease: Lease, news: asyncio.Event) -> float | None:
        """Begin what is due, as far as there is room; seconds until something else will be, None: nothing is known of."""
        counts = Counter(webhook for webhook, _ in going)
        full = {webhook for webhook, count in counts.items() if count >= MOST_OF_ONE}
        if len(going) >= MOST:
            return None
        async with self._work.reading() as tx:
            due, moment = await tx.due(2 * MOST, full=full), await tx.next_due()
            now = tx.now
        for one in due:
            key = (one.webhook, one.id)
            if key in going or counts[one.webhook] >= MOST_OF_ONE or len(going) >= MOST:
                continue
            counts[one.webhook] += 1
            going[key] = task = asyncio.create_task(self._bring(one, stop, lease))

            def ended(_: object, key: tuple[str, str] = key) -> None:
                going.pop(key, None)
                news.set()

            task.add_done_callback(ended)
        return None if moment is None else max(0.05, (moment - now).total_seconds())

    async def _bring(self, one: Delivery, stop: asyncio.Event, lease: Lease) -> None:
        try:
            await self._try(one, lease)
        except LeaseLost:
            return  # whoever has it now goes on
        except Exception as error:
            self._log.error("delivery not tried", delivery=one.name, exc_info=error)
            await rest(stop, PAUSE)

    async def _try(self, one: Delivery, lease: Lease) -> None:
        async with self._work.reading() as tx:
            held, sealed = await tx.find(Webhook, one.org, one.webhook), await tx.secrets(one.org, one.webhook)
            still, now = await tx.find(Delivery, one.org, one.webhook, one.id), tx.now
        if held is None or still != one:
            return  # it was read as due just before its try was noted, or is to be read anew
        if not (secrets := self._opened(sealed)):
            await self._work.again(partial(self._note, one, Attempt(now, 0, timedelta(), error=UNREADABLE), lease))
            return
        at, body = int(now.timestamp()), one.body.encode()
        headers = {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "user-agent": "catalyst-webhooks",
            "webhook-id": one.id,
            "webhook-timestamp": str(at),
            "webhook-signature": signed(secrets, id=one.id, at=at, body=body),
        }
        lease.check()
        attempt = await self._sender.post(held.url, headers, body, at=now)
        await self._work.again(partial(self._note, one, attempt, lease))

    def _opened(self, sealed: Sequence[tuple[bytes, bytes]]) -> list[Secret]:
        """Those that open in their own places: one that was moved into this row never signs for it."""
        found = []
        for value, place in sealed:
            try:
                found.append(Secret(self._sealer.open(value, place)))
            except Unopened as error:
                self._log.error("secret cannot be read", why=str(error))
        return found

    async def _note(self, one: Delivery, attempt: Attempt, lease: Lease, tx: Store) -> None:
        await lease.guard(tx.sql)
        held = await tx.find(Webhook, one.org, one.webhook, lock=True)
        delivery = await tx.find(Delivery, one.org, one.webhook, one.id, lock=True)
        if held is None or delivery is None or delivery.state is not DeliveryState.PENDING:
            return  # taken away meanwhile
        after = webhooks.tried(delivery, attempt, tx.now, self._jitter())
        decided = webhooks.judge(held, after, tx.now)
        await tx.save((after, decided.state))
        tx.emit(*decided.events)

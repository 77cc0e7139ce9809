"""Measurements are taken: each judged alone, counted once, summed up by the hour; the same for a batch that a caller
brings and for what meters put on the stream CATALYST_METERING.

Of a measurement on the stream nobody hears an answer. So what may still come right, because its meter is not made yet or
its clock runs ahead, is tried again and then put aside as a dead letter, which can be replayed; what never can becomes a
finding.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from catalyst.billing.v1 import events_pb2, resources_pb2, service_pb2
from catalyst_mesh import Handled, Told, moment
from catalyst_sdk import Refused

from .domain import findings, last_bills, metered, periods, quotas, usage
from .domain.accounts import AccountClosed
from .domain.money import Money
from .domain.periods import Span
from .domain.postings import Books
from .domain.quotas import Standing
from .domain.subscriptions import State, Subscription
from .domain.usage import Event, Hour, InFuture, Meter, MeterUnknown, UsageIdReused, ValueInvalid, Windows
from .opening import ensured
from .store import Store

_RECORDED = "catalyst.v1.metering.usage.recorded"
_MAY_COME_RIGHT = (MeterUnknown, InFuture)


class Judged:
    """What became of the events of a batch."""

    def __init__(self) -> None:
        self.by_org: defaultdict[str, list[tuple[int, Event]]] = defaultdict(list)
        self.refused: dict[int, Refused] = {}
        self.answer = service_pb2.RecordUsageResponse()

    def take(self, index: int, event: Event) -> None:
        self.by_org[event.org].append((index, event))

    def refuse(self, index: int, id: str, why: Refused) -> None:
        self.refused[index] = why
        self.answer.refused.add(index=index, id=id, reason=why.reason, message=why.sentence)
        self.answer.refused.sort(key=lambda refused: refused.index)


class Recording:
    """Takes measurements under the rules of the Sovereign."""

    def __init__(self, *, books: Books, windows: Windows, currency: str) -> None:
        self._books = books
        self._windows = windows
        self._currency = currency

    @property
    def handled(self) -> Handled:
        """The handler of what is on the stream; whoever measures numbers its events by itself."""
        return Handled(_RECORDED, events_pb2.UsageRecorded, self.on_usage_recorded, from_strangers=True)

    async def on_usage_recorded(self, tx: Store, message: events_pb2.UsageRecorded, told: Told) -> Sequence[object]:
        """Take one measurement of the stream. Raises MeterUnknown, InFuture."""
        judged = await self.record(tx, [to_usage(message)])
        for refusal in judged.refused.values():
            if isinstance(refusal, _MAY_COME_RIGHT):
                raise refusal
            await tx.open_finding(_lost(message, refusal, tx.now))
        return ()

    async def record(self, tx: Store, given: Sequence[resources_pb2.UsageEvent]) -> Judged:
        """Judge a batch and write what stands."""
        meters, judged = await tx.meters(), Judged()
        for index, raw in enumerate(given):
            try:
                judged.take(index, usage.check(to_event(raw, tx.now), meters, self._windows, tx.now))
            except Refused as refusal:
                judged.refuse(index, raw.id, refusal)
        for org in sorted(judged.by_org):
            try:
                # Each customer's usage is written one batch after the other, so an hour is never summed up by two at once.
                account = (await ensured(tx, org, self._currency)).state
            except AccountClosed as closed:
                for index, event in judged.by_org[org]:
                    judged.refuse(index, event.id, closed)
                continue
            # Of two first comers to an account that has no row to lock, one loses here, before any usage is written.
            await tx.save(account)
            await self._record_of(tx, org, judged, meters)
        return judged

    async def _record_of(self, tx: Store, org: str, judged: Judged, meters: dict[str, Meter]) -> None:
        payers = await tx.payers(org)
        known = await tx.known_events(org, {(e.source, e.id) for _, e in judged.by_org[org]})
        new: list[Event] = []
        for index, seen in judged.by_org[org]:
            event = _placed(seen, payers.get(metered.payer_of(seen.environment)))
            before = known.setdefault(event.key, event)
            if before is event:
                new.append(event)
            elif before.says_the_same(event):
                judged.answer.duplicate_count += 1
            else:
                judged.refuse(index, event.id, UsageIdReused(id=event.id, source=event.source))
        hours = await tx.hours_of(org, new)
        for event in new:
            if not event.is_adjustment:
                empty = Hour(org, event.meter, event.environment, event.application, event.hour)
                before_hour = hours.get(empty.key, empty)
                hours[empty.key] = usage.joined(before_hour, event, meters[event.meter].aggregation)
        await tx.add_usage(new, hours.values())
        await self._await_bills(tx, payers, new)
        judged.answer.accepted_count += len(new)
        await self._tell_thresholds(tx, org, list(hours.values()))

    async def _await_bills(self, tx: Store, payers: dict[str, Subscription], new: Sequence[Event]) -> None:
        """Have late usage of what has ended billed: no renewal comes that would have it."""
        for payer, s in payers.items():
            late = [e.at for e in new if e.is_adjustment and e.is_rated and metered.payer_of(e.environment) == payer]
            await tx.save_all(last_bills.awaited(s, late, self._books.usage_late, tx.now))

    async def _tell_thresholds(self, tx: Store, org: str, touched: Sequence[Hour]) -> None:
        account = await tx.account(org)
        e = await tx.entitlement(org, account.currency if account else self._currency, lock=True)
        if e.limit is None and e.max_cpu_milli is None and e.max_ram_mb is None:
            return
        month = periods.month_of(tx.now, self._books.zone)
        spent = await tx.spent(org, e.currency, month) if e.limit else Money(0, e.currency)
        largest: dict[str, int] = {}
        for hour in await tx.hours(org, Span(min((h.hour for h in touched), default=tx.now), tx.now + periods.DAY)):
            largest[hour.meter] = max(largest.get(hour.meter, 0), hour.value)
        standing = Standing(month.start, spent, tuple(largest.items()))
        e, fired, facts = quotas.passed(e, standing, await tx.fired(org, month.start), tx.now)
        await tx.save_all(*([e] if fired else []), *fired)
        tx.emit(*facts)


def to_event(raw: resources_pb2.UsageEvent, now: datetime) -> Event:
    """A measurement as it was sent. Raises ValueInvalid."""
    org = raw.org.removeprefix("organizations/")
    for field, text, most in (("id", raw.id, 128), ("source", raw.source, 256), ("org", org, 32)):
        if not 0 < len(text) <= most:
            raise ValueInvalid(field=field, why=f"1 to {most} characters are expected")
    if raw.org != f"organizations/{org}" or not usage.ORG.fullmatch(org):
        raise ValueInvalid(field="org", why="organizations/{org} is expected")
    for field, text in (("environment", raw.environment), ("application", raw.application)):
        if len(text) > 128:
            raise ValueInvalid(field=field, why="at most 128 characters are expected")
    if not raw.HasField("time"):
        raise ValueInvalid(field="time", why="it is missing")
    return Event(
        org=org, source=raw.source, id=raw.id, environment=raw.environment, application=raw.application,
        meter=raw.meter.removeprefix("meters/"), value=usage.quantity(raw.value), at=moment(raw.time),
        dimensions=tuple(sorted(raw.dimensions.items())), received_at=now,
    )  # fmt: skip


def to_usage(message: events_pb2.UsageRecorded) -> resources_pb2.UsageEvent:
    """What the stream tells, as a caller would bring it."""
    given = {field.name: value for field, value in message.ListFields() if field.name != "version"}
    return resources_pb2.UsageEvent(**given)


def _placed(event: Event, payer: Subscription | None) -> Event:
    """The event, late where its hour was billed already, and free while its payer is suspended."""
    if payer is None:
        return event
    return replace(
        event, is_adjustment=event.is_adjustment or event.hour < _billed_until(payer),
        is_rated=payer.state is not State.SUSPENDED,
    )  # fmt: skip


def _billed_until(s: Subscription) -> datetime:
    if s.last is not None:
        return s.last.start if s.wake_at and not s.invoice else s.last.end
    return s.period_end if s.past_due_at is not None or s.charge else s.period_start


def _lost(message: events_pb2.UsageRecorded, why: Refused, now: datetime) -> findings.Finding:
    """One finding for all that one source gets wrong in one way: it may be wrong each minute."""
    text = f"a measurement of {message.source[:256]} is not counted: {why.sentence}"
    org = message.org.removeprefix("organizations/")
    account = f"billingAccounts/{org}" if usage.ORG.fullmatch(org) else ""
    subject = f"{account or 'organizations/?'} {message.meter[:72]} {message.source[:128]}"
    return findings.warn(f"USAGE_{why.reason.removeprefix('USAGE_')}", subject, text, account=account, now=now)

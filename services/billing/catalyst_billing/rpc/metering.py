"""MeteringService."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, InvalidRequest, Page, Work, moment, stamp
from catalyst_sdk import Code, Decision, Refused, Violation

from ..amounts import money
from ..domain import metered, periods, rating, usage
from ..domain.money import Money
from ..domain.periods import Span
from ..domain.postings import Books
from ..domain.quotas import Entitlement, Mode
from ..domain.rating import NANO, Card, Used
from ..domain.subscriptions import Subscription
from ..domain.usage import Aggregation, Hour, Meter, MeterUnknown
from ..opening import ensured
from ..recording import Judged, Recording
from ..store import Store
from .names import check_etag, etag_of, id_of, require_member
from .running import run


class MeterNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "METER_NOT_FOUND", "there is no meter {meter}"


class MeterExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "METER_EXISTS", "{meter} is there already"


class DimensionInUse(Refused):
    reason, message = "DIMENSION_IN_USE", "{meter} was split by {dimensions}; what is counted by them stays"


class MeteringService(service_pb2_grpc.MeteringServiceServicer):
    """Usage, meters, and how far usage may go."""

    def __init__(self, work: Work[Store], recording: Recording, *, books: Books, currency: str) -> None:
        self._work = work
        self._recording = recording
        self._books = books
        self._currency = currency

    async def RecordUsage(
        self, request: service_pb2.RecordUsageRequest, context: Context
    ) -> service_pb2.RecordUsageResponse:
        judged: list[Judged] = []

        async def step(tx: Store) -> Decision[None]:
            judged[:] = [await self._recording.record(tx, request.events)]
            return Decision(None)  # it is written already

        return await self._work.run(step, answer=lambda _: judged[0].answer)

    async def QueryUsage(
        self, request: service_pb2.QueryUsageRequest, context: Context
    ) -> service_pb2.QueryUsageResponse:
        org = require_member(request.parent, "org-developer")
        meters = [name.removeprefix("meters/") for name in request.meters]
        page = Page.of(
            request.page_size, request.page_token, request.parent, meters, request.start_time.ToJsonString(),
            request.end_time.ToJsonString(), request.step, request.environment, request.application,
            request.by_application,
        )  # fmt: skip
        async with self._work.reading() as tx:
            known = await tx.meters()
            if unknown := [meter for meter in meters if meter not in known]:
                raise MeterUnknown(meter=f"meters/{unknown[0]}")
            running = await tx.metered(org)
            span = self._span(request, running.get(""), tx.now)
            hours = await tx.hours(
                org, span, meters=meters, environment=request.environment, application=request.application
            )
            cards = await tx.cards() if running else []
        points = list(self._points(request, hours, dict.fromkeys(running, cards)))
        first = int(page.after or 0)
        cut = page.cut(list(enumerate(points, 1))[first : first + page.size + 1], lambda row: row[0])
        return service_pb2.QueryUsageResponse(
            points=[point for _, point in cut.rows], next_page_token=cut.next_page_token
        )

    async def CreateMeter(self, request: service_pb2.CreateMeterRequest, context: Context) -> resources_pb2.Meter:
        wish = request.meter
        missing = [
            Violation(f"meter.{field}", "a new meter needs it", "REQUIRED")
            for field, is_there in (("unit", bool(wish.unit)), ("aggregation", bool(wish.aggregation)))
            if not is_there
        ]
        if missing:
            raise InvalidRequest(tuple(missing))

        async def step(tx: Store) -> Decision[Meter]:
            if await tx.lock_meter(request.meter_id):
                raise MeterExists(meter=f"meters/{request.meter_id}")
            kind = Aggregation(
                resources_pb2.Meter.Aggregation.Name(wish.aggregation).removeprefix("AGGREGATION_").lower()
            )
            title = wish.display_name or request.meter_id
            return Decision(Meter(request.meter_id, wish.unit, kind, tuple(wish.dimensions), title, tx.now, tx.now))

        return await run(self._work, step, to_meter, validate_only=request.validate_only)

    async def GetMeter(self, request: service_pb2.GetMeterRequest, context: Context) -> resources_pb2.Meter:
        async with self._work.reading() as tx:
            found = (await tx.meters()).get(id_of(request.name))
        if found is None:
            raise MeterNotFound(meter=request.name)
        return to_meter(found)

    async def ListMeters(
        self, request: service_pb2.ListMetersRequest, context: Context
    ) -> service_pb2.ListMetersResponse:
        page = Page.of(request.page_size, request.page_token)
        async with self._work.reading() as tx:
            known = [meter for slug, meter in (await tx.meters()).items() if slug > (page.after or "")]
        cut = page.cut(known[: page.size + 1], lambda meter: meter.slug)
        return service_pb2.ListMetersResponse(
            meters=[to_meter(meter) for meter in cut.rows], next_page_token=cut.next_page_token
        )

    async def UpdateMeter(self, request: service_pb2.UpdateMeterRequest, context: Context) -> resources_pb2.Meter:
        wish, slug = request.meter, id_of(request.meter.name)
        paths = paths_of(request.update_mask.paths, wish, ("display_name", "dimensions"), "meter")

        async def step(tx: Store) -> Decision[Meter]:
            known = await tx.lock_meter(slug)
            if known is None:
                raise MeterNotFound(meter=wish.name)
            check_etag(request.etag, known.name, known.version)
            dimensions = tuple(wish.dimensions) if "dimensions" in paths else known.dimensions
            used = [gone for gone in known.dimensions if gone not in dimensions and await tx.is_split_by(slug, gone)]
            if used:
                raise DimensionInUse(meter=known.name, dimensions=", ".join(used))
            title = wish.display_name if "display_name" in paths else known.title
            new = replace(
                known, dimensions=dimensions, title=title or slug, updated_at=tx.now, version=known.version + 1
            )
            return Decision(new)

        return await run(self._work, step, to_meter, validate_only=request.validate_only)

    async def GetEntitlement(
        self, request: service_pb2.GetEntitlementRequest, context: Context
    ) -> resources_pb2.Entitlement:
        org = require_member(request.name, "org-developer")
        async with self._work.reading() as tx:
            account = await tx.account(org)
            e = await tx.entitlement(org, account.currency if account else self._currency)
            return await self._shown(tx, e)

    async def UpdateEntitlement(
        self, request: service_pb2.UpdateEntitlementRequest, context: Context
    ) -> resources_pb2.Entitlement:
        wish, org = request.entitlement, require_member(request.entitlement.name)
        fields = ("mode", "max_cpu_milli", "max_ram_mb", "monthly_spending_limit", "prepaid")
        paths = paths_of(request.update_mask.paths, wish, fields, "entitlement")
        shown: list[resources_pb2.Entitlement] = []

        async def step(tx: Store) -> Decision[tuple[object, ...]]:
            account = (await ensured(tx, org, self._currency)).state
            account.require_open()
            known = await tx.entitlement(org, account.currency, lock=True)
            check_etag(request.etag, known.name, known.version)
            new = _changed(known, wish, paths)
            shown[:] = [await self._shown(tx, new)]
            return Decision((account, new))

        return await run(self._work, step, lambda _: shown[0], validate_only=request.validate_only)

    async def _shown(self, tx: Store, e: Entitlement) -> resources_pb2.Entitlement:
        month = periods.month_of(tx.now, self._books.zone)
        told = await tx.fired(e.org, month.start)
        limit = e.spending_limit
        return resources_pb2.Entitlement(
            name=e.name, etag=etag_of(e.version), version=e.version,
            mode=resources_pb2.Entitlement.Mode.Value(f"MODE_{e.mode.upper()}"), max_cpu_milli=e.max_cpu_milli,
            max_ram_mb=e.max_ram_mb, monthly_spending_limit=money(limit) if limit is not None else None,
            spent=money(await tx.spent(e.org, e.currency, month)),
            reached_percent=max((percent for _, percent in told), default=0), prepaid=e.prepaid,
        )  # fmt: skip

    def _span(self, request: service_pb2.QueryUsageRequest, running: Subscription | None, now: datetime) -> Span:
        current = running.period_start if running else periods.month_of(now, self._books.zone).start
        first = moment(request.start_time) if request.HasField("start_time") else current
        last = moment(request.end_time) if request.HasField("end_time") else now + timedelta(microseconds=1)
        return Span(first, last)

    def _points(
        self, request: service_pb2.QueryUsageRequest, hours: Sequence[Hour], cards: Mapping[str, Sequence[Card]]
    ) -> Iterator[resources_pb2.UsagePoint]:
        """Hours in the steps that were asked for, and what each costs beyond those before it; Sovereigns always apart.

        cards   under which usage costs something, by whose plan pays for it
        """
        grouped: defaultdict[tuple[str, str, str], dict[Span, list[Hour]]] = defaultdict(dict)
        for hour in hours:
            payer = metered.payer_of(hour.environment)
            split = (hour.environment, hour.application) if request.by_application else (payer, "")
            grouped[hour.meter, *split].setdefault(self._step(request, hour.hour), []).append(hour)
        for (meter, environment, application), steps in sorted(grouped.items()):
            at, of_payer = {meter: Decimal(0)}, cards.get(metered.payer_of(environment), ())
            for step, members in sorted(steps.items(), key=lambda item: item[0].start):
                used = [_used(h, card) for h in members if (card := rating.card_at(of_payer, h.hour))]
                cost = rating.rate(used, used[0].card.currency, at).get(meter) if used else None
                at[meter] += sum((u.quantity for u in used), Decimal(0))
                yield resources_pb2.UsagePoint(
                    meter=f"meters/{meter}", environment=environment, application=application,
                    start_time=stamp(step.start), end_time=stamp(step.end),
                    value=usage.decimal(sum(h.value for h in members)), rated=money(cost) if cost else None,
                )  # fmt: skip

    def _step(self, request: service_pb2.QueryUsageRequest, hour: datetime) -> Span:
        zone = self._books.zone
        if request.step == service_pb2.QueryUsageRequest.STEP_HOUR:
            return Span(hour, hour + usage.HOUR)
        if request.step == service_pb2.QueryUsageRequest.STEP_MONTH:
            start = periods.month_start(hour, zone)
            return Span(start, periods.boundary(start, 1, zone))
        start = periods.midnight(hour, zone)
        return Span(start, (start.astimezone(zone) + timedelta(days=1)).astimezone(UTC))


def to_meter(m: Meter) -> resources_pb2.Meter:
    """A meter as the contract shows it."""
    return resources_pb2.Meter(
        name=m.name, etag=etag_of(m.version), version=m.version, create_time=stamp(m.created_at),
        update_time=stamp(m.updated_at), unit=m.unit, dimensions=m.dimensions, display_name=m.title,
        aggregation=resources_pb2.Meter.Aggregation.Value(f"AGGREGATION_{m.aggregation.upper()}"),
    )  # fmt: skip


def _used(hour: Hour, card: Card) -> Used:
    return Used(hour.meter, card, Decimal(hour.rated) / NANO)


def paths_of(asked: Sequence[str], wish: object, fields: Sequence[str], prefix: str) -> set[str]:
    """Fields that are to change: those that are named, else those that are set. Raises InvalidRequest."""
    given = {path.removeprefix(f"{prefix}.") for path in asked}
    if unknown := sorted(given - set(fields)):
        wrong = tuple(Violation("update_mask", f"{path} cannot be changed", "FIELD_MASK") for path in unknown)
        raise InvalidRequest(wrong)
    return given or {field.name for field, _ in wish.ListFields() if field.name in fields}  # type: ignore[attr-defined]


def _changed(e: Entitlement, wish: resources_pb2.Entitlement, paths: set[str]) -> Entitlement:
    new = replace(e, version=e.version + 1)
    if "mode" in paths:
        grows = wish.mode == resources_pb2.Entitlement.MODE_GROW
        new = replace(new, mode=Mode.GROW if grows else Mode.CAPPED)
    if "prepaid" in paths:
        new = replace(new, prepaid=wish.prepaid, drawn_until=None)
    if "max_cpu_milli" in paths:
        new = replace(new, max_cpu_milli=wish.max_cpu_milli if wish.HasField("max_cpu_milli") else None)
    if "max_ram_mb" in paths:
        new = replace(new, max_ram_mb=wish.max_ram_mb if wish.HasField("max_ram_mb") else None)
    if "monthly_spending_limit" in paths:
        is_set = wish.HasField("monthly_spending_limit")
        limit = Money(wish.monthly_spending_limit.minor, wish.monthly_spending_limit.currency) if is_set else None
        if limit is not None and limit.currency != e.currency:
            wrong = Violation("entitlement.monthly_spending_limit", f"the account is kept in {e.currency}", "CURRENCY")
            raise InvalidRequest((wrong,))
        new = replace(new, limit=limit.minor if limit is not None else None)
    return new

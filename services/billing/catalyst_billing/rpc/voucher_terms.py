"""Vouchers between the contract and the domain."""

from datetime import datetime

from catalyst.billing.v1 import resources_pb2 as pb
from catalyst_mesh import InvalidRequest, moment, span, stamp
from catalyst_sdk import Violation

from ..amounts import money
from ..domain.money import Money
from ..domain.uses import Tally
from ..domain.vouchers import Terms, Voucher
from .names import etag_of, uid_of


def terms_of(v: pb.Voucher) -> Terms:
    """The terms of a request. Raises InvalidRequest with everything that is wrong."""
    violations = tuple(_violations(v))
    if violations:
        raise InvalidRequest(violations)
    return Terms(
        amount=Money(v.amount.minor, v.amount.currency) if v.HasField("amount") else None,
        percent=v.percent_off.percent,
        periods=v.percent_off.periods,
        budget=Money(v.budget.minor, v.budget.currency) if v.HasField("budget") else None,
        max_total=v.max_total if v.HasField("max_total") else None,
        max_per_org=v.max_per_org if v.HasField("max_per_org") else 1,
        starts_at=moment(v.start_time) if v.HasField("start_time") else None,
        ends_at=moment(v.end_time) if v.HasField("end_time") else None,
        grant_ttl=v.grant_ttl.ToTimedelta() if v.HasField("grant_ttl") else None,
        plans=tuple(v.eligible.plans),
        blueprints=tuple(v.eligible.blueprints),
        new_organizations_only=v.eligible.new_organizations_only,
        description=v.description,
    )


def voucher(v: Voucher, tally: Tally, now: datetime) -> pb.Voucher:
    """A voucher with its counters."""
    terms = v.terms
    currency = (terms.amount or terms.budget or Money(0, "OMR")).currency
    return pb.Voucher(
        name=v.name, uid=uid_of(v.id), etag=etag_of(v.version), version=v.version, create_time=stamp(v.created_at),
        update_time=stamp(v.updated_at), code=v.code, state=pb.Voucher.State.Value(f"STATE_{v.standing(now).upper()}"),
        amount=money(terms.amount) if terms.amount else None,
        percent_off=percent_off(terms),
        budget=money(terms.budget) if terms.budget else None, max_total=terms.max_total,
        max_per_org=terms.max_per_org, start_time=stamp(terms.starts_at), end_time=stamp(terms.ends_at),
        grant_ttl=span(terms.grant_ttl),
        eligible=pb.VoucherEligibility(
            plans=terms.plans, blueprints=terms.blueprints, new_organizations_only=terms.new_organizations_only
        ),
        description=terms.description, revision=v.version, reserved_count=tally.reserved, used_count=tally.confirmed,
        used_value=money(Money(tally.value_minor, currency)), issued_by=v.issued_by,
    )  # fmt: skip


def percent_off(terms: Terms) -> pb.PercentOff | None:
    """The discount; None for flat credit."""
    return pb.PercentOff(percent=terms.percent, periods=terms.periods) if terms.percent else None


def _violations(v: pb.Voucher) -> list[Violation]:
    found = []
    if v.WhichOneof("value") is None:
        found.append(Violation("voucher.amount", "either an amount or a percentage is needed", "REQUIRED"))
    if v.HasField("amount") and v.HasField("budget") and v.amount.currency != v.budget.currency:
        found.append(Violation("voucher.budget", "the budget has the amount's currency", "CURRENCY"))
    if v.HasField("start_time") and v.HasField("end_time") and moment(v.end_time) <= moment(v.start_time):
        found.append(Violation("voucher.end_time", "it ends after it starts", "ORDER"))
    return found

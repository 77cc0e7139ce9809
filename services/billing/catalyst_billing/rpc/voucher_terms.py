"""Vouchers between the contract and the domain."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from catalyst.billing.v1 import resources_pb2 as pb
from catalyst_mesh import InvalidRequest, moment, span, stamp
from catalyst_sdk import Violation

from ..amounts import money
from ..domain.campaigns import Campaign
from ..domain.money import Money
from ..domain.uses import Tally, Use, UseState
from ..domain.vouchers import Revision, Terms, Voucher
from .names import etag_of, uid_of

CHANGEABLE = frozenset({
    "amount", "percent_off", "campaign", "budget", "max_total", "max_per_org", "start_time", "end_time", "grant_ttl",
    "eligible", "description",
})  # fmt: skip
CHANGEABLE_OF_CAMPAIGN = frozenset({"display_name", "budget"})


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


def changed(voucher: Voucher, wish: pb.Voucher, paths: Collection[str]) -> tuple[Terms, str]:
    """Terms and campaign after an update: fields that `paths` names are as in `wish`, unset where it leaves them out."""
    whole = _message(voucher)
    for path in paths:
        whole.ClearField(path)  # type: ignore[arg-type]  # one of CHANGEABLE
    whole.MergeFrom(_only(wish, paths))
    return terms_of(whole), whole.campaign.removeprefix("campaigns/")


def _only(wish: pb.Voucher, paths: Collection[str]) -> pb.Voucher:
    part = pb.Voucher()
    part.CopyFrom(wish)
    for field, _ in wish.ListFields():
        if field.name not in paths:
            part.ClearField(field.name)  # type: ignore[arg-type]  # a field's own name
    return part


def _message(v: Voucher) -> pb.Voucher:
    """What an admin can set of a voucher."""
    terms = v.terms
    return pb.Voucher(
        amount=money(terms.amount) if terms.amount else None, percent_off=percent_off(terms),
        campaign=f"campaigns/{v.campaign}" if v.campaign else "",
        budget=money(terms.budget) if terms.budget else None, max_total=terms.max_total,
        max_per_org=terms.max_per_org, start_time=stamp(terms.starts_at), end_time=stamp(terms.ends_at),
        grant_ttl=span(terms.grant_ttl), eligible=_eligible(terms), description=terms.description,
    )  # fmt: skip


def _eligible(terms: Terms) -> pb.VoucherEligibility:
    return pb.VoucherEligibility(
        plans=terms.plans, blueprints=terms.blueprints, new_organizations_only=terms.new_organizations_only
    )


def revision(v: Voucher, r: Revision) -> pb.Voucher:
    """What a voucher was after an edit."""
    shown = _message(replace(v, terms=r.terms, campaign=r.campaign))
    shown.name, shown.code, shown.revision, shown.issued_by = v.name, v.code, r.revision, r.changed_by
    shown.update_time.FromDatetime(r.created_at)
    return shown


def use(u: Use) -> pb.VoucherUse:
    """One use of a voucher."""
    account = f"billingAccounts/{u.org}"
    return pb.VoucherUse(
        name=u.name, state=pb.VoucherUse.State.Value(f"STATE_{u.state.upper()}"), account=account,
        order=f"{account}/orders/{u.order}" if u.order else "", grant=f"{account}/creditGrants/{u.grant}" if u.grant else "",
        value=money(u.value), voucher_revision=u.revision, create_time=stamp(u.created_at),
        expire_time=stamp(u.expires_at) if u.state is UseState.RESERVED else None, settle_time=stamp(u.settled_at),
    )  # fmt: skip


def campaign_of(c: pb.Campaign, paths: Collection[str] = CHANGEABLE_OF_CAMPAIGN) -> tuple[str, Money | None]:
    """Title and budget of a request. Raises InvalidRequest for a campaign without a title."""
    if "display_name" in paths and not c.display_name.strip():
        raise InvalidRequest((Violation("campaign.display_name", "a campaign has a title", "REQUIRED"),))
    return c.display_name.strip(), Money(c.budget.minor, c.budget.currency) if c.HasField("budget") else None


def campaign(c: Campaign, used: Mapping[str, int]) -> pb.Campaign:
    """A campaign with what is used of it: in the currency of its budget, or in the one that was used."""
    currency = c.budget.currency if c.budget else next(iter(sorted(used)), "")
    return pb.Campaign(
        name=c.name, uid=c.uid, etag=etag_of(c.version), version=c.version, create_time=stamp(c.created_at),
        update_time=stamp(c.updated_at), display_name=c.title, budget=money(c.budget) if c.budget else None,
        used=money(Money(used.get(currency, 0), currency)) if currency else None,
    )  # fmt: skip


def voucher(v: Voucher, tally: Tally, now: datetime) -> pb.Voucher:
    """A voucher with its counters."""
    terms = v.terms
    currency = (terms.amount or terms.budget or Money(0, "OMR")).currency
    return pb.Voucher(
        name=v.name, uid=uid_of(v.id), etag=etag_of(v.version), version=v.version, create_time=stamp(v.created_at),
        update_time=stamp(v.updated_at), code=v.code, state=pb.Voucher.State.Value(f"STATE_{v.standing(now).upper()}"),
        amount=money(terms.amount) if terms.amount else None,
        percent_off=percent_off(terms), campaign=f"campaigns/{v.campaign}" if v.campaign else "",
        budget=money(terms.budget) if terms.budget else None, max_total=terms.max_total,
        max_per_org=terms.max_per_org, start_time=stamp(terms.starts_at), end_time=stamp(terms.ends_at),
        grant_ttl=span(terms.grant_ttl), eligible=_eligible(terms),
        description=terms.description, revision=v.revision, reserved_count=tally.reserved, used_count=tally.confirmed,
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

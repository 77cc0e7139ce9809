"""Vouchers, their uses, revisions and campaigns, and how often codes were tried."""

from collections.abc import Mapping
from datetime import timedelta

from catalyst_mesh import Page
from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select

from ..domain.campaigns import Campaign
from ..domain.money import Money
from ..domain.uses import Tally, Use, UseState
from ..domain.vouchers import Revision, State, Used, Voucher
from . import tables as t
from .reading import Reading
from .remembering import Remembering

_LASTING = (State.ACTIVE.value, State.PAUSED.value, State.EXHAUSTED.value)
"""States that time turns into EXPIRED."""


class VoucherStore(Reading, Remembering):
    """The part of the store that is about vouchers."""

    async def voucher(self, id: str) -> Voucher | None:
        """One voucher, only to be read."""
        return await self._one(Voucher, select(t.voucher).where(t.voucher.c.id == id))

    async def lock_voucher(self, id: str) -> Voucher | None:
        """One voucher and its campaign; nobody else uses either until the commit."""
        voucher = await self._one(Voucher, select(t.voucher).where(t.voucher.c.id == id), lock=True)
        if voucher is not None and voucher.campaign:
            await self.lock_campaign(voucher.campaign)
        return voucher

    async def voucher_of_code(self, code: str) -> Voucher | None:
        """The voucher with a normalised code, revoked ones too."""
        return await self._one(Voucher, select(t.voucher).where(t.voucher.c.code == code))

    async def tally(self, voucher: str, org: str) -> Tally:
        """Uses that count now; true until the commit if the voucher is locked."""
        u = t.voucher_use.c
        query = select(u.state, u.org, func.count(), func.sum(u.value_minor)).where(
            u.voucher == voucher, self._counts()
        )
        rows = (await self.sql.execute(query.group_by(u.state, u.org))).all()
        return Tally(
            confirmed=sum(count for state, _, count, _ in rows if state == UseState.CONFIRMED.value),
            reserved=sum(count for state, _, count, _ in rows if state == UseState.RESERVED.value),
            of_org=sum(count for _, owner, count, _ in rows if owner == org),
            value_minor=sum(int(value) for _, _, _, value in rows),
            campaign_left=await self._campaign_left(voucher),
        )

    async def used(self, voucher: str) -> Used:
        """How much of a voucher is used and reserved; true until the commit if it is locked."""
        u = t.voucher_use.c
        query = select(u.org, func.count(), func.sum(u.value_minor)).where(u.voucher == voucher, self._counts())
        rows = (await self.sql.execute(query.group_by(u.org))).all()
        ever = (await self.sql.execute(select(exists().where(u.voucher == voucher)))).scalar_one()
        return Used(
            count=sum(count for _, count, _ in rows), most_of_one=max((count for _, count, _ in rows), default=0),
            value=sum(int(value) for _, _, value in rows), was_reserved=bool(ever),
        )  # fmt: skip

    async def lock_campaign(self, id: str) -> Campaign | None:
        """One campaign; nobody else draws on it until the commit."""
        return await self._one(Campaign, select(t.campaign).where(t.campaign.c.id == id), lock=True)

    async def campaign(self, id: str) -> Campaign | None:
        """One campaign, only to be read."""
        return await self._one(Campaign, select(t.campaign).where(t.campaign.c.id == id))

    async def campaign_used(self, id: str) -> Mapping[str, int]:
        """Confirmed and reserved minor units of all its vouchers, by currency."""
        u, v = t.voucher_use.c, t.voucher.c
        joined = t.voucher_use.join(t.voucher)
        query = select(u.currency, func.sum(u.value_minor)).select_from(joined)
        rows = await self.sql.execute(query.where(v.campaign == id, self._counts()).group_by(u.currency))
        return {currency: int(value) for currency, value in rows}

    async def campaigns(self, page: Page) -> list[Campaign]:
        """Campaigns by name."""
        c = t.campaign.c
        query = select(t.campaign).where(c.id > (page.after or "")).order_by(c.id).limit(page.size + 1)
        return await self._all(Campaign, query)

    async def vouchers(self, page: Page, *, state: str, show_revoked: bool, campaign: str = "") -> list[Voucher]:
        """Vouchers, newest first, by the state they are in now; revoked ones only where asked for."""
        v = t.voucher.c
        query = select(t.voucher)
        over = v.ends_at.is_not(None) & (v.ends_at <= self.now)
        if state == State.EXPIRED.value:
            query = query.where(or_(v.state == state, and_(v.state.in_(_LASTING), over)))
        elif state:
            query = query.where(v.state == state, ~over if state in _LASTING else v.state == state)
        elif not show_revoked:
            query = query.where(v.state != State.REVOKED.value)
        if campaign:
            query = query.where(v.campaign == campaign)
        return await self._newest(Voucher, query, v.created_at, v.id, page)

    async def uses(self, voucher: str, page: Page, *, state: str) -> list[Use]:
        """Reservations and redemptions of a voucher, newest first."""
        u = t.voucher_use.c
        query = select(t.voucher_use).where(u.voucher == voucher)
        if state:
            query = query.where(u.state == state)
        return await self._newest(Use, query, u.created_at, u.id, page)

    async def revisions(self, voucher: str, page: Page) -> list[Revision]:
        """What a voucher was after each edit, newest first."""
        r = t.voucher_revision.c
        query = select(t.voucher_revision).where(r.voucher == voucher)
        if page.after:
            query = query.where(r.revision < int(page.after))
        return await self._all(Revision, query.order_by(r.revision.desc()).limit(page.size + 1))

    async def try_code(self, bucket: str, most: int, within: timedelta) -> bool:
        """Whether one try more is allowed in `bucket`, which then counts, whichever replica asks."""
        p = t.preview_try.c
        await self.alone("preview", bucket)
        await self.sql.execute(delete(t.preview_try).where(p.at <= self.now - within))
        counted = select(func.count()).where(p.bucket == bucket)
        if (await self.sql.execute(counted)).scalar_one() >= most:
            return False
        await self.sql.execute(insert(t.preview_try).values(bucket=bucket, at=self.now))
        return True

    async def _campaign_left(self, voucher: str) -> Money | None:
        query = select(t.campaign).join(t.voucher, t.voucher.c.campaign == t.campaign.c.id)
        found = await self._one(Campaign, query.where(t.voucher.c.id == voucher))
        if found is None or found.budget is None:
            return None
        used = (await self.campaign_used(found.id)).get(found.budget.currency, 0)
        return Money(found.budget.minor - used, found.budget.currency)

    def _counts(self) -> ColumnElement[bool]:
        """Uses that hold their place now."""
        u = t.voucher_use.c
        lasting = (u.state == UseState.RESERVED.value) & (u.expires_at > self.now)
        return or_(u.state == UseState.CONFIRMED.value, lasting)

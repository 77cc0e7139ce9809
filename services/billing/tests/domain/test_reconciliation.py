"""Random lives of orders: the book stays true and agrees with credit and with the provider, to the minor unit."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from catalyst_billing.domain import disputes, documents, fulfilment, purchases, refunds, settlements, submissions
from catalyst_billing.domain.credit import Wallet
from catalyst_billing.domain.disputes import Dispute, Told
from catalyst_billing.domain.invoices import Kind as PaperKind
from catalyst_billing.domain.invoices import Series
from catalyst_billing.domain.ledger import Kind, Txn
from catalyst_billing.domain.moves import IllegalTransition
from catalyst_billing.domain.orders import Command, OrderOpen, State
from catalyst_billing.domain.payments import Capture, PaymentState
from catalyst_billing.domain.postings import grant_expired
from catalyst_billing.domain.pricing import Selection
from catalyst_billing.domain.purchases import Purchase, Rivals
from catalyst_billing.domain.submissions import Desk, Submit
from catalyst_sdk import Decision
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ..makers import BOOKS, HALF_HOUR, NOBODY, NOON, account, omr, quote, sign, voucher, wallet, wish

PLANS = st.sampled_from("sml")


class Lives(RuleBasedStateMachine):
    """One Organization, many Sovereigns, one provider."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.wallet: Wallet = wallet()
        self.purchases: dict[str, Purchase] = {}
        self.book: Counter[Kind] = Counter()
        self.keys: set[str] = set()
        self.captured: dict[str, int] = {}
        self.disputes: dict[str, Dispute] = {}
        self.losses: dict[str, Txn] = {}
        self.billed = 0
        self.count = 0

    @initialize(plan=PLANS, code=st.none() | st.integers(1, 4000))
    def begin_with_one_that_a_card_paid(self, plan: str, code: int | None) -> None:
        """Left to chance few lives would have one, and fewer a dispute about it."""
        self.submit(plan=plan, support=False, step=1, code=code)
        self.pay(n=0, off=0, again=False)

    @rule(minor=st.integers(1, 30_000), days=st.none() | st.integers(1, 5))
    def redeem(self, minor: int, days: int | None) -> None:
        v = voucher(amount="0.001", grant_ttl=timedelta(days=days) if days else None)
        v = replace(v, terms=replace(v.terms, amount=omr("0.001") * minor))
        new = replace(wish(id=f"u-{self._next()}", order=""), expires_at=self.now + HALF_HOUR)
        done = submissions.redeem(account(), self.wallet, v, NOBODY, new, BOOKS, self.now).state
        self.wallet = done.wallet
        self._book(done.postings)

    @rule(plan=PLANS, support=st.booleans(), step=st.sampled_from([1, 7, 100]), code=st.none() | st.integers(1, 20_000))
    def submit(self, plan: str, support: bool, step: int, code: int | None) -> None:
        id = f"o-{self._next()}"
        wanted = Selection(plan, ("priority-support",) if support else (), sovereign=f"sovereigns/{id}")
        v = voucher(f"v-{id}", amount="0.001") if code else None
        if v and code:
            v = replace(v, terms=replace(v.terms, amount=omr("0.001") * code))
        # Lapsed holds count as free, as they do for the daemon's quotes once their orders are swept.
        free = self.wallet.lapse(self.now).available(self.now)
        q = quote(f"q-{id}", selection=wanted, credit=str(free).split()[0], voucher=v, step=step, now=self.now)
        opened = next((p.order.name for p in self.purchases.values() if p.order.is_open), "")
        desk = Desk(account(), self.wallet, q, v, NOBODY, Rivals(open_order=opened))
        try:
            decided = submissions.submit(desk, Submit(id, q.hash, "fake"), BOOKS, sign, self.now)
        except OrderOpen:
            assert opened
            return
        assert not opened
        self._take(decided)

    @rule(n=st.integers(0, 99), off=st.sampled_from([0, 0, 0, -1, 1]), again=st.booleans())
    def pay(self, n: int, off: int, again: bool) -> None:
        p = self._pick(n)
        if p is None or not p.order.due:
            return
        ref = f"pay-{p.order.id}" if not again else f"pay-{p.order.id}-{self._next()}"
        amount = replace(p.order.due, minor=max(1, p.order.due.minor + off))
        fresh = ref not in self.captured
        self.captured.setdefault(ref, amount.minor)
        decided = settlements.capture(
            p, Capture(ref, replace(amount, minor=self.captured[ref]), self.now), BOOKS, self.now
        )
        assert fresh or decided.state is p, "a payment has one effect"
        self._take(decided)

    @rule(n=st.integers(0, 99), command=st.sampled_from([Command.CANCEL, Command.EXPIRE, Command.FAIL]))
    def end(self, n: int, command: Command) -> None:
        p = self._pick(n)
        if p is not None and p.order.is_open:
            self._take(purchases.release(p, command, "why", self.now))

    @rule(n=st.integers(0, 99), what=st.sampled_from(["started", "activated", "given up", "destroyed"]))
    def tell(self, n: int, what: str) -> None:
        p = self._pick(n)
        if p is None:
            return
        sovereign = p.order.sovereign
        self._take(
            {
                "started": lambda: fulfilment.started(p, sovereign, self.now),
                "activated": lambda: fulfilment.activated(p, sovereign, self.now),
                "given up": lambda: fulfilment.given_up(p, sovereign, "failed", BOOKS, 1, self.now),
                "destroyed": lambda: fulfilment.destroyed(p, sovereign, BOOKS, 1, self.now),
            }[what]()
        )

    @rule(n=st.integers(0, 99), share=st.integers(1, 100), to_credit=st.booleans(), step=st.sampled_from([1, 10]))
    def give_back(self, n: int, share: int, to_credit: bool, step: int) -> None:
        p = self._pick(n)
        if p is None:
            return
        part = refunds.left_of(p, self.now).total.minor * share // 100
        wish = refunds.Wish(replace(p.order.total, minor=part), to_credit, "wished")
        try:
            self._take(refunds.give_back(p, wish, BOOKS, step, self.now))
        except (IllegalTransition, refunds.RefundExceeds):
            assert not part or p.order.state not in (State.PAID, State.FULFILLING, State.FULFILLED)

    @rule(n=st.integers(0, 99), state=st.sampled_from(disputes.State), share=st.integers(1, 100))
    def dispute(self, n: int, state: disputes.State, share: int) -> None:
        p = self._pick(n)
        payment = next((one for one in p.payments if one.state is PaymentState.SETTLED), None) if p else None
        if p is None or payment is None:
            return
        known = self.disputes.get(payment.ref)
        asked = replace(payment.amount, minor=max(1, payment.amount.minor * share // 100))
        gone = sum(refund.to_card.minor for refund in p.refunds if refund.payment == payment.ref)
        left = replace(payment.amount, minor=payment.amount.minor - gone)
        told = Told(f"d-{payment.ref}", asked, state)
        lost = self.losses.get(payment.ref)
        done = disputes.decide(known, told, payment, left, lost, BOOKS, self.now).state
        self._book(done.postings)
        for txn in done.postings:
            if txn.kind == "dispute_lost":
                self.losses[payment.ref] = txn
        if done.dispute.state is not disputes.State.LOST:
            self.losses.pop(payment.ref, None)
        self.disputes[payment.ref] = done.dispute
        if done.dispute.state is not disputes.State.OPENED:
            concerned = self._with_wallet(self.purchases[p.order.id])
            self._take(fulfilment.disputed(concerned, done.dispute, BOOKS, 1, self.now))

    @precondition(lambda self: any(p.order.paid_by_card and not p.refunds for p in self.purchases.values()))
    @rule(
        share=st.integers(1, 100),
        back=st.integers(1, 100),
        state=st.sampled_from(disputes.State),
        gives_up=st.booleans(),
    )
    def dispute_and_give_back(self, share: int, back: int, state: disputes.State, *, gives_up: bool) -> None:
        """Drawn together: apart they seldom meet on one order."""
        paid = [n for n, p in enumerate(self.purchases.values()) if p.order.paid_by_card and not p.refunds]
        self.dispute(paid[0], disputes.State.OPENED, share)
        if gives_up:
            self.tell(paid[0], "given up")
        else:
            self.give_back(paid[0], back, False, 1)
        self.dispute(paid[0], state, share)

    @rule(hours=st.floats(0, 30))
    def wait(self, hours: float) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def sweep(self) -> None:
        for p in list(self.purchases.values()):
            if p.order.is_open and p.order.deadline <= self.now:
                self._take(purchases.release(self._with_wallet(p), Command.EXPIRE, "", self.now))
        self.wallet, lapsed = self.wallet.expire(self.now)
        for fact in lapsed:
            g = fact.grant
            txn = grant_expired(BOOKS, org="acme", grant=g.id, version=g.version, amount=fact.amount, at=self.now)
            self._book((txn,))

    @invariant()
    def credit_in_the_book_is_what_grants_have_left(self) -> None:
        assert -self.book[Kind.CUSTOMER_CREDIT] == self.wallet.total.minor >= 0

    @invariant()
    def the_book_sums_to_zero(self) -> None:
        assert sum(self.book.values()) == 0

    @invariant()
    def clearing_is_what_the_provider_keeps(self) -> None:
        refunded = sum(r.to_card.minor for p in self.purchases.values() for r in p.refunds)
        lost = sum(d.booked.minor for d in self.disputes.values())
        assert self.book[Kind.PSP_CLEARING] == sum(self.captured.values()) - refunded - lost >= 0
        by_bank = sum(r.by_bank.minor for p in self.purchases.values() for r in p.refunds)
        # What the bank takes again to decide anew is the customer's until it has.
        undecided = sum(self._undecided(p) for p in self.purchases.values())
        assert self.book[Kind.RECEIVABLE] == lost - by_bank >= -undecided

    @invariant()
    def of_an_order_that_failed_is_owed_only_what_came_back_twice(self) -> None:
        for p in map(self._with_wallet, self.purchases.values()):
            if p.order.given_up_at:
                owed = sum(d.booked.minor for d in p.disputes) - sum(r.by_bank.minor for r in p.refunds)
                otherwise = sum(r.from_card.minor for r in p.refunds if not r.dispute and r.why != "unsettled")
                assert -self._undecided(p) <= owed <= otherwise, p.order.state

    @invariant()
    def what_is_owed_is_what_stands_paid(self) -> None:
        standing = [p.order for p in self.purchases.values() if p.order.paid_at]
        returned = [
            order.refunded + (order.rounding if order.state is State.REFUNDED else omr("0")) for order in standing
        ]
        owed = sum(order.total.minor for order in standing) - sum(amount.minor for amount in returned)
        assert -self.book[Kind.DEFERRED_REVENUE] == owed == self.billed
        assert all(order.credit + order.rounding + order.due == order.total for order in standing)

    @invariant()
    def only_a_settlement_makes_an_order_paid(self) -> None:
        for p in self.purchases.values():
            assert bool(p.order.paid_at) == bool(p.subscription)
            assert p.order.claims_sovereign <= (p.order.is_open or bool(p.order.paid_at))

    def _undecided(self, p: Purchase) -> int:
        """What went back by disputes that are open again."""
        is_open = {d.ref for d in self.disputes.values() if d.state is disputes.State.OPENED}
        return sum(r.by_bank.minor for r in p.refunds if r.dispute in is_open)

    def _next(self) -> int:
        self.count += 1
        return self.count

    def _pick(self, n: int) -> Purchase | None:
        known = list(self.purchases.values())
        return self._with_wallet(known[n % len(known)]) if known else None

    def _with_wallet(self, p: Purchase) -> Purchase:
        found = (self.disputes.get(payment.ref) for payment in p.payments)
        return replace(p, wallet=self.wallet, disputes=tuple(filter(None, found)))

    def _take(self, decided: Decision[Purchase]) -> None:
        p = decided.state
        self._check_refunds(p)
        self._book(p.postings)
        self.wallet = p.wallet
        for paper in p.papers:
            made = documents.numbered(paper, Series("X", 2026, self._next()), self.now)[1]
            self.billed += made.total.minor
            p = replace(p, invoice=made) if made.kind is PaperKind.INVOICE else p
        settled = next((txn for txn in p.postings if txn.kind == "order_paid"), p.paid_txn)
        self.purchases[p.order.id] = replace(p, postings=(), findings=(), papers=(), paid_txn=settled)

    def _check_refunds(self, p: Purchase) -> None:
        """What a payer's bank may take back does not go back to the card besides."""
        before = self.purchases.get(p.order.id)
        fresh = [refund for refund in p.refunds if before is None or refund not in before.refunds]
        if any(refund.to_card and refund.why != "unsettled" for refund in fresh):
            withheld = sum(dispute.withholds.minor for dispute in p.disputes)
            gone = sum(refund.to_card.minor for refund in p.refunds if refund.why != "unsettled")
            assert gone + withheld <= p.order.paid_by_card.minor, "disputed money is not refunded"

    def _book(self, txns: tuple[Txn, ...]) -> None:
        for txn in txns:
            assert txn.idem_key not in self.keys, "one key, one effect"
            self.keys.add(txn.idem_key)
            for entry in txn.entries:
                self.book[entry.account.kind] += entry.amount.minor
                assert self.book[Kind.CUSTOMER_CREDIT] <= 0, "credit is never negative, not even within a decision"


Lives.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLives = Lives.TestCase

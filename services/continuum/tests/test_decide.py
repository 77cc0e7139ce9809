"""The agent's table: every row is reached, every state has an answer, and no view at all leads to what must not be."""

from dataclasses import replace
from typing import Any

import pytest
from catalyst_continuum.domain.actions import Action
from catalyst_continuum.domain.authority import Authority, Moment, Watch
from catalyst_continuum.domain.decide import TABLE, decide
from catalyst_continuum.domain.lease import NO_WRITERS
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.record import State as Record
from catalyst_continuum.domain.view import Claim, Mode, State, Unconfirmed, View, Wish
from hypothesis import given, settings
from hypothesis import strategies as st

US, THEM = "sb-west-rtz-dev", "sb-east-rtz-dev"
NOW = Moment(1000.0, 0.0)
WISH = Wish(US)
MINE = Lease(5, 9, Record.HELD, US, lsn="0/30")
THEIRS = replace(MINE, holder=THEM)
FREE = replace(MINE, state=Record.FREE, holder="")
FROZEN = replace(MINE, state=Record.FROZEN)
OFFER = replace(THEIRS, state=Record.HANDOFF, next=US)
OUR_OFFER = replace(MINE, state=Record.HANDOFF, next=THEM)
AUTHORITY = Authority(5, 1006.0)
LEADING = View(State.LEADING, MINE, epoch=5, authority=AUTHORITY, sent_at=999.5)
YIELDING = replace(LEADING, state=State.YIELDING, lease=OUR_OFFER)
FENCED = View(State.FENCED, MINE, epoch=5)
STANDBY = View(State.ELIGIBLE, THEIRS, standby_ready=True, failover_allowed=True, checks_pass=True, replayed="0/30",
               watch=Watch(5, 9, 10, 998), writable=False)  # fmt: skip
SUSPECT = replace(STANDBY, state=State.SUSPECTING, watch=Watch(5, 9, 10, 990))
CLAIMING = View(State.CLAIMING, MINE, epoch=5, authority=AUTHORITY, sent_at=999.5, claim=Claim.COMMITTED)
PROMOTING = replace(LEADING, state=State.PROMOTING)
BOOTING = View(State.BOOTING)

GIVEN = View(
    State.LEADING, THEIRS, epoch=6, authority=replace(AUTHORITY, epoch=6), sent_at=999.5, readable=False,
    unconfirmed=Unconfirmed(6, 9, 10),
)  # fmt: skip

ROWS: dict[str, tuple[View, Wish]] = {
    "1": (replace(LEADING, authority=Authority(5, 1000.0)), WISH),
    "2u": (replace(GIVEN, readable=True), WISH),
    "2v": (replace(GIVEN, readable=True, lease=replace(THEIRS, seq=11)), WISH),
    "2": (replace(FENCED, lease=THEIRS, writable=True), WISH),
    "3": (replace(LEADING, sent_at=998.0), WISH),
    "4": (replace(LEADING, readable=False, lease=None, authority=Authority(5, 1003.0)), WISH),
    "5": (replace(STANDBY, sound=False), WISH),
    "6r": (replace(GIVEN, state=State.BOOTING, lease=None), WISH),
    "6f": (replace(GIVEN, state=State.BOOTING, lease=None, authority=None), WISH),
    "6": (replace(BOOTING, readable=False), WISH),
    "7a": (replace(BOOTING, lease=MINE, epoch=5, authority=AUTHORITY), WISH),
    "7b": (replace(BOOTING, lease=MINE), WISH),
    "8a": (replace(BOOTING, lease=OUR_OFFER), WISH),
    "8b": (replace(BOOTING, lease=THEIRS), WISH),
    "8c": (replace(BOOTING, lease=THEIRS, was_primary=False), WISH),
    "8d": (replace(BOOTING, remembered=False), replace(WISH, is_primary=True)),
    "9": (replace(LEADING, run_is_mine=True), WISH),
    "10": (replace(LEADING, failing=True, failover_allowed=True, target=THEM), WISH),
    "11": (replace(LEADING, planned_run=True, approved=True), WISH),
    "12": (replace(LEADING, sync_observed="2"), WISH),
    "13": (LEADING, WISH),
    "14a": (replace(YIELDING, lease=replace(THEIRS, epoch=6), fence=NO_WRITERS), WISH),
    "14e": (replace(YIELDING, lease=replace(THEIRS, epoch=6)), WISH),
    "14c": (replace(YIELDING, lease=MINE), WISH),
    "14d": (replace(YIELDING, lease=MINE, fence=NO_WRITERS), WISH),
    "14b": (replace(YIELDING, watch=Watch(5, 9, 10, 990)), WISH),
    "15a": (View(State.FENCING, MINE, fence=NO_WRITERS), WISH),
    "15b": (View(State.FENCING, MINE, fence_began=990), WISH),
    "16a": (replace(FENCED, database_sound=True), WISH),
    "16b": (replace(FENCED, lease=FREE, database_sound=True, standby_ready=True, failover_allowed=True), WISH),
    "17": (replace(FENCED, lease=replace(THEIRS, epoch=6), verified_at=950), WISH),
    "18a": (replace(SUSPECT, lease=replace(FROZEN, holder=THEM)), WISH),
    "18b": (replace(STANDBY, lease=replace(MINE, epoch=6), epoch=6), WISH),
    "19a": (replace(STANDBY, state=State.FOLLOWING), WISH),
    "19b": (replace(STANDBY, state=State.FOLLOWING, standby_ready=None), WISH),
    "19c": (replace(STANDBY, standby_ready=False), WISH),
    "20": (replace(SUSPECT, lease=OFFER), WISH),
    "21": (replace(STANDBY, lease=FREE), WISH),
    "22": (replace(STANDBY, watch=Watch(5, 9, 10, 995)), WISH),
    "23": (replace(SUSPECT, lease=replace(THEIRS, seq=10)), WISH),
    "24a": (SUSPECT, WISH),
    "24b": (SUSPECT, replace(WISH, mode=Mode.SEMI_AUTOMATIC)),
    "24f": (replace(STANDBY, forced=True), WISH),
    "24u": (replace(SUSPECT, unwitnessed=True, readable=False), WISH),
    "24c": (replace(SUSPECT, checks_pass=None), WISH),
    "25a": (CLAIMING, WISH),
    "25b": (replace(CLAIMING, lease=THEIRS, claim=Claim.LOST, fence=NO_WRITERS), WISH),
    "25d": (replace(CLAIMING, lease=THEIRS, claim=Claim.LOST), WISH),
    "25c": (replace(CLAIMING, claim=Claim.UNKNOWN), WISH),
    "26a": (replace(PROMOTING, canary=True), WISH),
    "26b": (replace(PROMOTING, promote_began=980, target=THEM), WISH),
    "26c": (replace(PROMOTING, promote_began=980), WISH),
    "wait": (STANDBY, WISH),
}  # fmt: skip


@pytest.mark.parametrize("row", [row.name for row in TABLE])
def test_each_row_is_reached(row: str) -> None:
    view, wish = ROWS[row]
    assert decide(view, wish, NOW).row == row


def maybe(*values: Any) -> Any:
    return st.sampled_from([None, *values])


BOOLEAN = maybe(True, False)
VIEWS = st.builds(
    View, state=st.sampled_from(State), lease=maybe(MINE, THEIRS, FREE, FROZEN, OFFER, OUR_OFFER,
    replace(FROZEN, holder=THEM), replace(THEIRS, epoch=6), replace(THEIRS, seq=10)), readable=st.booleans(),
    sound=st.booleans(), remembered=BOOLEAN, epoch=st.sampled_from([0, 4, 5]),
    authority=maybe(AUTHORITY, Authority(5, 999.0)), sent_at=maybe(990.0, 999.5), all_hold_off=st.booleans(),
    promised_until=st.sampled_from([0.0, 1005.0]), clock_usable=st.booleans(), writable=BOOLEAN, was_primary=BOOLEAN,
    failing=BOOLEAN, target=st.sampled_from(["", THEM]), failover_allowed=BOOLEAN, run_is_mine=st.booleans(),
    planned_run=st.booleans(), sync_observed=maybe("0", "2"), fence=maybe(NO_WRITERS), fence_began=maybe(990.0, 999.9),
    watch=maybe(Watch(5, 9, 10, 989), Watch(5, 9, 10, 995), Watch(5, 8, 10, 900)), verified_at=maybe(900.0, 990.0),
    standby_ready=BOOLEAN, replayed=maybe("0/30", "0/2F"), checks_pass=BOOLEAN, approved=BOOLEAN,
    unwitnessed=st.booleans(), holder_writes=BOOLEAN,
    unconfirmed=maybe(Unconfirmed(6, 9), Unconfirmed(6, 8, 9), Unconfirmed(5, 8)),
    claim=maybe(*Claim), forced=st.booleans(), canary=BOOLEAN, promote_began=maybe(980.0, 999.0), database_sound=BOOLEAN,
)  # fmt: skip
WISHES = st.builds(Wish, region=st.just(US), mode=st.sampled_from(Mode), place=st.integers(0, 2),
                   suspended=st.booleans(), is_primary=st.booleans())  # fmt: skip
CLAIMS = (Action.ACQUIRE, Action.STEAL, Action.FORCE, Action.ACCEPT, Action.BOOTSTRAP)


@settings(max_examples=400)
@given(VIEWS, WISHES)
def test_no_view_leads_to_what_must_not_be(view: View, wish: Wish) -> None:
    told = decide(view, wish, NOW)
    lease, over = view.lease, view.authority is None or not view.authority.allows(NOW)
    yielded = view.state is State.YIELDING and view.fence is not None
    if view.state in (State.LEADING, State.PROMOTING, State.YIELDING) and over and not (view.all_hold_off or yielded):
        assert told.action is Action.SELF_FENCE, "I17"
    if told.action in CLAIMS:
        assert view.readable
        assert view.sound
        assert not wish.suspended, "I9"
        assert lease is None or lease.state is not Record.FROZEN, "I9"
        assert view.clock_usable
    if told.action is Action.STEAL:
        assert view.watch is not None
        assert lease is not None
        assert (view.watch.epoch, view.watch.seq) == (lease.epoch, lease.seq), "I16"
        assert view.watch.silence(NOW) >= 10 + wish.place * wish.poll, "I16"
        assert view.checks_pass is True, "I18"
        assert view.standby_ready is True, "I18"
        assert NOW.boot >= view.promised_until
        assert wish.mode is Mode.AUTOMATIC or view.approved is True
    if told.action is Action.FORCE:
        assert view.forced, "I16"
        assert (view.checks_pass, view.standby_ready) == (True, True), "I18"
        assert NOW.boot >= view.promised_until
    if told.action is Action.TAKE_UNWITNESSED:
        assert view.unwitnessed, "I16"
        assert not view.readable, "whoever can ask the cells asks them"
        assert view.holder_writes is not True
        assert view.watch is not None
        assert lease is not None
        assert (lease.state, lease.holder) == (Record.HELD, THEM), "I9"
        assert (view.watch.epoch, view.watch.seq) == (lease.epoch, lease.seq), "I16"
        assert view.watch.silence(NOW) >= 10 + wish.place * wish.poll, "I16"
        assert (view.checks_pass, view.standby_ready) == (True, True), "I18"
        assert NOW.boot >= view.promised_until
        assert not wish.suspended, "I9"
        assert view.clock_usable
    if told.action is Action.CONFIRM:
        assert view.unconfirmed is not None
        assert lease is not None
        assert lease.epoch == view.unconfirmed.epoch - 1, "I16"
        silent = view.watch is not None and view.watch.silence(NOW) >= 10
        assert lease.seq == view.unconfirmed.seq or silent, "I16"
    if told.action is Action.BOOTSTRAP:
        assert view.remembered is False, "I18"
        assert lease is None
    if told.action is Action.PROMOTE:
        assert view.claim is Claim.COMMITTED, "I4"
        assert not over, "I4"
    if told.action is Action.UNFENCE:
        assert lease is not None
        assert lease.holder == US, "I4"


@settings(max_examples=100)
@given(VIEWS, WISHES)
def test_a_region_that_is_preferred_moves_nothing_by_that(view: View, wish: Wish) -> None:
    if view.state is State.BOOTING:
        return
    assert decide(view, replace(wish, is_primary=True), NOW) == decide(view, replace(wish, is_primary=False), NOW), (
        "I13"
    )

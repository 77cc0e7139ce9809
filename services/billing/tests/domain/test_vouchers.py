"""A code is given once and used within its caps, in two steps."""

from dataclasses import replace
from datetime import timedelta

import pytest
from catalyst_billing.domain import campaigns, uses, vouchers
from catalyst_billing.domain.credit import Purpose
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.moves import IllegalTransition
from catalyst_billing.domain.uses import (
    Pair,
    Tally,
    Use,
    UseState,
    VoucherAlreadyUsed,
    VoucherExhausted,
    VoucherNotActive,
    VoucherNotEligible,
)
from catalyst_billing.domain.vouchers import State, Terms, Voucher, VoucherCodeInvalid, VoucherNotFound, normalise
from hypothesis import given
from hypothesis import strategies as st

from ..makers import HALF_HOUR, LATER_NOON, NOBODY, NOON, omr, voucher, wish


@pytest.mark.parametrize("typed", [" omani-26 ", "OMANI-26", "ＯＭＡＮＩ－２６", "Omani-26\n"])
def test_a_code_is_found_however_it_is_typed(typed: str) -> None:
    assert normalise(typed) == "OMANI-26"


@pytest.mark.parametrize("typed", ["", "ABC", "-ABCD", "ABCD-", "A B C D", "ÄBCD", "A" * 33, "ABCD\nEFGH"])
def test_what_is_no_code_is_refused(typed: str) -> None:
    with pytest.raises(VoucherCodeInvalid):
        normalise(typed)


def test_generated_codes_hold_no_sign_that_is_taken_for_another() -> None:
    assert not set(vouchers.ALPHABET) & set("0O1IL")
    assert normalise(vouchers.ALPHABET[: vouchers.GENERATED_LENGTH])


@pytest.mark.parametrize(("activate", "state"), [(True, State.ACTIVE), (False, State.DRAFT)])
def test_a_voucher_is_issued_as_a_draft_or_active(activate: bool, state: State) -> None:
    decided = vouchers.issue("v-1", "OMANI-26", Terms(amount=omr("50")), by="admin", now=NOON, activate=activate)
    assert (decided.state.state, decided.state.name) == (state, "vouchers/v-1")
    assert decided.events == (vouchers.Issued(decided.state),)


def test_a_voucher_is_paused_and_goes_on() -> None:
    paused = vouchers.pause(voucher(), NOON).state
    assert vouchers.pause(paused, NOON).state is paused
    with pytest.raises(VoucherNotActive, match="PAUSED"):
        uses.check(paused, NOBODY, wish(), NOON)
    active = vouchers.activate(paused, NOON).state
    assert vouchers.activate(active, NOON).state is active
    uses.check(active, NOBODY, wish(), NOON)


def test_a_revoked_voucher_is_never_anything_else_again() -> None:
    gone = vouchers.revoke(voucher(), NOON, by="admin", why="leaked")
    assert gone.events == (vouchers.Revoked(gone.state, "admin", "leaked"),)
    assert vouchers.revoke(gone.state, NOON, by="other", why="") == type(gone)(gone.state)
    for command in (vouchers.activate, vouchers.pause):
        with pytest.raises(IllegalTransition, match=r"REVOKED; .* only: revoke"):
            command(gone.state, NOON)
    with pytest.raises(VoucherNotFound):
        uses.check(gone.state, NOBODY, wish(), NOON)


def test_an_expired_voucher_cannot_be_activated() -> None:
    over = voucher(state=State.PAUSED, ends_at=NOON)
    assert over.standing(NOON) is State.EXPIRED
    with pytest.raises(IllegalTransition, match="EXPIRED"):
        vouchers.activate(over, NOON)


def test_its_times_are_half_open() -> None:
    v = voucher(starts_at=NOON, ends_at=NOON + HALF_HOUR)
    moments = [NOON - timedelta(seconds=1), NOON, NOON + HALF_HOUR - timedelta(seconds=1), NOON + HALF_HOUR]
    assert [v.is_accepting(now) for now in moments] == [False, True, True, False]
    with pytest.raises(VoucherNotActive, match="begins at 2026-01-01T12:00:00Z"):
        uses.check(v, NOBODY, wish(), moments[0])
    with pytest.raises(VoucherNotActive, match="EXPIRED"):
        uses.check(v, NOBODY, wish(), moments[3])


@pytest.mark.parametrize(
    ("terms", "tally", "refusal"),
    [
        ({"max_total": 5}, Tally(confirmed=3, reserved=2), VoucherExhausted),
        ({}, Tally(of_org=1), VoucherAlreadyUsed),
        ({"budget": omr("99")}, Tally(value_minor=50_000), VoucherExhausted),
    ],
)
def test_a_cap_that_is_reached_refuses(terms: dict[str, object], tally: Tally, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        uses.reserve(voucher(**terms), tally, wish(), NOON)


@pytest.mark.parametrize(
    ("terms", "tally"),
    [
        ({"max_total": 5}, Tally(confirmed=3, reserved=1)),
        ({"max_per_org": 2}, Tally(of_org=1)),
        ({"budget": omr("100")}, Tally(value_minor=50_000)),
    ],
)
def test_the_last_place_below_a_cap_is_given(terms: dict[str, object], tally: Tally) -> None:
    assert uses.reserve(voucher(**terms), tally, wish(), NOON).state.use.state is UseState.RESERVED


def test_an_exhausted_voucher_says_so() -> None:
    with pytest.raises(VoucherExhausted):
        uses.check(voucher(state=State.EXHAUSTED), NOBODY, wish(), NOON)


@pytest.mark.parametrize(
    ("terms", "purpose", "new", "why"),
    [
        ({"plans": ("l",)}, Purpose("m"), True, "plans l"),
        ({"blueprints": ("blueprints/a",)}, Purpose("m"), True, "Blueprints"),
        ({"new_organizations_only": True}, None, False, "new Organizations"),
    ],
)
def test_a_voucher_for_something_else_is_refused(
    terms: dict[str, object], purpose: Purpose | None, new: bool, why: str
) -> None:
    with pytest.raises(VoucherNotEligible, match=why):
        uses.check(voucher(**terms), NOBODY, replace(wish(new=new), purpose=purpose), NOON)


def test_a_voucher_in_another_currency_is_refused() -> None:
    euro = replace(wish(), value=type(omr("1"))(5000, "EUR"))
    with pytest.raises(VoucherNotEligible, match=r"OMR.*EUR"):
        uses.check(voucher(), NOBODY, euro, NOON)


def test_restrictions_wait_for_the_order_where_there_is_none_yet() -> None:
    uses.check(voucher(plans=("l",)), NOBODY, replace(wish(), purpose=None), NOON)
    grant = uses.grant_of(uses.reserve(voucher(plans=("m",)), NOBODY, wish(), NOON).state.use, NOON)
    assert grant is not None
    assert grant.plans == ("m",)


def reserved(v: Voucher | None = None) -> Pair:
    return uses.reserve(v or voucher(), NOBODY, wish(), NOON).state


def test_a_confirmed_use_makes_its_grant() -> None:
    pair = reserved(voucher(grant_ttl=timedelta(days=7)))
    decided = uses.confirm(pair, Tally(reserved=1), NOON)
    grant = uses.grant_of(decided.state.use, NOON)
    assert grant is not None
    assert (grant.amount, grant.id, grant.expires_at) == (omr("50"), decided.state.use.grant, NOON + timedelta(days=7))
    assert decided.events == (uses.Confirmed(decided.state.voucher, decided.state.use),)


def test_a_discount_makes_no_grant() -> None:
    pair = reserved(voucher(amount=None, percent=10, periods=3))
    assert uses.confirm(pair, NOBODY, NOON).state.use.grant == ""
    assert uses.grant_of(pair.use, NOON) is None


@pytest.mark.parametrize(("confirmed", "state"), [(3, State.ACTIVE), (4, State.EXHAUSTED)])
def test_the_last_use_exhausts_the_voucher(confirmed: int, state: State) -> None:
    pair = reserved(voucher(max_total=5))
    assert uses.confirm(pair, Tally(confirmed=confirmed, reserved=1), NOON).state.voucher.state is state


def test_a_reservation_keeps_its_terms_whatever_becomes_of_the_voucher() -> None:
    pair = reserved()
    gone = vouchers.revoke(pair.voucher, NOON, by="admin", why="").state
    confirmed = uses.confirm(Pair(gone, pair.use), Tally(reserved=1), NOON).state
    assert (confirmed.use.state, confirmed.voucher.state) == (UseState.CONFIRMED, State.REVOKED)


def test_a_released_use_is_free_again_and_a_settled_one_stays() -> None:
    pair = reserved()
    decided = uses.release(pair, "cancelled", NOON)
    assert decided.state.use.state is UseState.RELEASED
    assert not decided.state.use.counts(NOON)
    assert decided.events == (uses.Released(decided.state.voucher, decided.state.use, "cancelled"),)
    assert uses.release(decided.state, "expired", NOON).state is decided.state


def test_a_lapsed_reservation_is_prolonged_and_a_released_one_made_anew() -> None:
    pair, after = reserved(), NOON + HALF_HOUR
    assert uses.renew(pair, NOBODY, wish(), NOON).state is pair
    again = replace(wish(id="u-1-r"), expires_at=after + HALF_HOUR)
    prolonged = uses.renew(pair, NOBODY, again, after).state.use
    assert (prolonged.id, prolonged.counts(after)) == ("u-1", True)
    released = uses.release(pair, "expired", after).state
    assert uses.renew(released, NOBODY, again, after).state.use.id == "u-1-r"
    with pytest.raises(VoucherAlreadyUsed):
        uses.renew(pair, Tally(of_org=1), again, after)


@given(
    st.integers(1, 4),
    st.integers(1, 2),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["reserve", "confirm", "release", "wait"])), max_size=40
    ),
)
def test_no_order_of_steps_passes_a_cap(max_total: int, max_per_org: int, steps: list[tuple[str, str]]) -> None:
    v, taken, now = voucher(max_total=max_total, max_per_org=max_per_org), list[Use](), NOON
    for n, (org, step) in enumerate(steps):
        counting = [use for use in taken if use.counts(now)]
        confirmed = [use for use in counting if use.state is UseState.CONFIRMED]
        tally = Tally(len(confirmed), len(counting) - len(confirmed), sum(use.org == org for use in counting))
        if step == "wait":
            now += HALF_HOUR / 2
        elif step == "reserve":
            new = replace(wish(org, id=f"u-{n}", order=f"o-{n}"), expires_at=now + HALF_HOUR)
            try:
                pair = uses.reserve(v, tally, new, now).state
            except (VoucherExhausted, VoucherAlreadyUsed):
                assert len(counting) == max_total or tally.of_org == max_per_org
                continue
            v, taken = pair.voucher, [*taken, pair.use]
        elif open_ := [use for use in counting if use.state is UseState.RESERVED and use.org == org]:
            pair = Pair(v, open_[0])
            done = uses.confirm(pair, tally, now) if step == "confirm" else uses.release(pair, "cancelled", now)
            v, taken = done.state.voucher, [done.state.use if use.id == open_[0].id else use for use in taken]
        counting = [use for use in taken if use.counts(now)]
        assert len(counting) <= max_total
        assert all(sum(use.org == o for use in counting) <= max_per_org for o in "abc")
        assert (v.state is State.EXHAUSTED) == (sum(u.state is UseState.CONFIRMED for u in taken) == max_total)


def test_an_edit_is_a_revision_and_one_that_changes_nothing_is_none() -> None:
    v = voucher()
    terms = replace(v.terms, description="Welcome", max_total=3)
    edited = vouchers.edit(v, terms, "c-1", vouchers.Used(), by="b", now=LATER_NOON).state
    assert (edited.voucher.terms, edited.voucher.campaign, edited.voucher.revision) == (terms, "c-1", 2)
    assert (edited.revision.name, edited.revision.changed_by) == ("vouchers/v-1/revisions/2", "b")
    assert (
        vouchers.edit(edited.voucher, terms, "c-1", vouchers.Used(), by="c", now=NOON).state.voucher == edited.voucher
    )


@pytest.mark.parametrize(
    ("terms", "used", "field"),
    [
        ({"max_total": 2}, {"count": 3}, "max_total of 2 is below what is used and reserved, 3"),
        ({"max_per_org": 1}, {"most_of_one": 2}, "max_per_org of 1"),
        (
            {"budget": omr("40")},
            {"value": 50_000},
            "budget of 40.000 OMR is below what is used and reserved, 50.000 OMR",
        ),
    ],
)
def test_no_cap_is_set_below_what_is_used(terms: dict[str, object], used: dict[str, int], field: str) -> None:
    v = voucher()
    with pytest.raises(vouchers.CapBelowUse, match=field):
        vouchers.edit(v, replace(v.terms, **terms), "", vouchers.Used(**used), by="b", now=NOON)  # type: ignore[arg-type]


def test_what_it_is_worth_is_frozen_once_somebody_reserved_it() -> None:
    v, used = voucher(amount=None, percent=10, periods=2, budget=omr("9")), vouchers.Used(was_reserved=True)
    vouchers.edit(v, replace(v.terms, budget=None), "", used, by="b", now=NOON)
    for change in ({"percent": 20}, {"amount": omr("1"), "percent": 0}, {"budget": Money(9, "EUR")}):
        with pytest.raises(vouchers.VoucherValueFrozen):
            vouchers.edit(v, replace(v.terms, **change), "", used, by="b", now=NOON)  # type: ignore[arg-type]


def test_a_raised_cap_lets_an_exhausted_voucher_go_on_and_a_revoked_one_is_never_edited() -> None:
    v, used = voucher(state=State.EXHAUSTED, max_total=1), vouchers.Used(count=1, was_reserved=True)
    for cap, state in ((2, State.ACTIVE), (1, State.EXHAUSTED)):
        terms = replace(v.terms, max_total=cap, description="more")
        assert vouchers.edit(v, terms, "", used, by="b", now=NOON).state.voucher.state is state
    with pytest.raises(IllegalTransition):
        vouchers.edit(voucher(state=State.REVOKED), v.terms, "", used, by="b", now=NOON)


def test_a_campaign_s_budget_counts_for_all_its_vouchers_and_is_never_below_what_is_used() -> None:
    uses.check(voucher(), Tally(campaign_left=omr("50")), wish(), NOON)
    with pytest.raises(uses.VoucherExhausted):
        uses.check(voucher(), Tally(campaign_left=omr("49.999")), wish(), NOON)
    with pytest.raises(uses.VoucherNotEligible):
        uses.check(voucher(), Tally(campaign_left=Money(9, "EUR")), wish(), NOON)
    begun = campaigns.begin("c-1", "uid", "Spring", omr("100"), NOON).state
    with pytest.raises(vouchers.CapBelowUse):
        campaigns.edit(begun, "Spring", omr("49"), {"OMR": 50_000}, NOON)
    assert campaigns.edit(begun, "Spring", omr("100"), {}, NOON).state is begun
    assert campaigns.edit(begun, "May", None, {"OMR": 50_000}, NOON).state.version == 2

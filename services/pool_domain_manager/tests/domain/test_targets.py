"""Addresses to which names may point."""

import pytest
from catalyst_pool_domain_manager.domain.refusals import TargetsRefused
from catalyst_pool_domain_manager.domain.targets import addresses, parse
from hypothesis import given
from hypothesis import strategies as st


def reason_of(*raw: tuple[str, str], allow_private: bool = False) -> str:
    with pytest.raises(TargetsRefused) as refused:
        parse(raw, allow_private=allow_private)
    return refused.value.reason


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "127.0.0.1", "::1", "::ffff:10.0.0.1", "169.254.1.1", "fe80::1", "224.0.0.1", "ff0e::1", "0.0.0.0",
        "::", "192.0.2.1", "2001:db8::1", "100.64.0.1", "255.255.255.255", "2002:a00:1::", "64:ff9b::a00:1",
    ],
)  # fmt: skip
def test_an_address_that_the_world_cannot_reach_is_refused(address: str) -> None:
    assert reason_of(("default", address)) == "TARGET_NOT_PUBLIC"


@pytest.mark.parametrize("text", ["1.2.3", "1.2.3.4 x", "lb.example.com", "", "1.2.3.4/32", "fe80::1%eth0", "01.2.3.4"])
def test_text_that_is_no_address_is_refused_also_where_private_ones_are_allowed(text: str) -> None:
    assert reason_of(("default", text), allow_private=True) == "TARGET_INVALID"


def test_a_pool_may_allow_private_addresses() -> None:
    assert parse((("default", "127.7.0.1"),), allow_private=True) == (("default", "127.7.0.1"),)


def test_an_address_of_the_older_kind_in_the_clothes_of_the_newer_one_is_the_older_one() -> None:
    assert parse((("default", "::ffff:5.9.0.1"), ("default", "5.9.0.1")), allow_private=False) == (
        ("default", "5.9.0.1"),
    )


@pytest.mark.parametrize("slot", ["other", "abc", "hfm1", "HFMP", "defaults"])
def test_a_slot_is_default_console_or_a_location_code(slot: str) -> None:
    assert reason_of(("default", "5.9.0.1"), (slot, "5.9.0.2")) == "TARGET_INVALID"


def test_no_target_at_all_is_missing() -> None:
    assert reason_of() == "TARGET_MISSING"


def test_addresses_of_locations_alone_leave_the_name_itself_without_one() -> None:
    assert reason_of(("hfmp", "5.9.0.1")) == "TARGET_MISSING"


def test_a_slot_has_at_most_16_addresses() -> None:
    many = tuple(("default", f"5.9.0.{n}") for n in range(17))
    assert parse(many[:16], allow_private=False)
    assert reason_of(*many) == "TARGET_INVALID"


def test_every_bad_target_is_named_at_once() -> None:
    with pytest.raises(TargetsRefused) as refused:
        parse((("default", "10.0.0.1"), ("nowhere", "5.9.0.1"), ("console", "x")), allow_private=False)
    assert [v.field for v in refused.value.violations] == [
        "targets[0].address",
        "targets[1].slot",
        "targets[2].address",
    ]


def test_targets_are_kept_in_canonical_form_and_order() -> None:
    raw = (("", "5.9.0.2"), ("console", "2A01:4F8:0:0::1"), ("default", "5.9.0.1"), ("default", "5.9.0.2"))
    assert parse(raw, allow_private=False) == (
        ("console", "2a01:4f8::1"), ("default", "5.9.0.1"), ("default", "5.9.0.2"),
    )  # fmt: skip


def test_an_empty_slot_falls_back_to_default() -> None:
    targets = (("console", "5.9.0.2"), ("default", "5.9.0.1"))
    assert [addresses(targets, slot) for slot in ("default", "console", "other")] == [
        ("5.9.0.1",), ("5.9.0.2",), ("5.9.0.1",),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=20)), max_size=5))
def test_any_text_is_parsed_or_refused(raw: list[tuple[str, str]]) -> None:
    try:
        parsed = parse(tuple(raw), allow_private=True)
    except TargetsRefused:
        return
    assert parse(parsed, allow_private=True) == parsed

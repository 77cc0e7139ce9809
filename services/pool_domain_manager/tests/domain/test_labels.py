"""Which labels may be handed out (section 14 of the specification's table of bad input, and section 5)."""

import re

import idna
import pytest
from catalyst_pool_domain_manager.domain import idn
from catalyst_pool_domain_manager.domain.labels import judge
from catalyst_pool_domain_manager.domain.lookalikes import drawn_like
from catalyst_pool_domain_manager.domain.policy import BASE_RESERVED, Policy
from hypothesis import given
from hypothesis import strategies as st

IDN = Policy(idn=True)
ORGANIZATION = Policy(shortest=2, longest=32, leading_digit=True)


@pytest.mark.parametrize("typed", ["acme", " Acme ", "ACME", "\tacme\n"])
def test_blanks_around_a_label_and_capitals_make_no_difference(typed: str) -> None:
    assert (judge(typed, Policy()).label, judge(typed, Policy()).reason) == ("acme", "")


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ("", "length"), ("   ", "length"), ("a" * 64, "length"),
        ("ac me", "characters"), ("ac.me", "characters"), ("ac_me", "characters"), ("ac\x00me", "characters"),
        ("acme\x1f", "characters"), ("acme\x7f", "characters"), ("äcme", "characters"), ("аcme", "characters"),
        ("acme\u00a0", "characters"), ("\u212aube", "characters"), ("٣cme", "characters"),
        ("-a", "first"), ("1a", "first"), ("a-", "last"), ("xn--bcher-kva", "idn"), ("ab--cd", "idn"),
    ],
)  # fmt: skip
def test_an_unfit_label_is_refused_by_the_rule_that_it_breaks(typed: str, rule: str) -> None:
    judged = judge(typed, Policy())
    assert (judged.reason, judged.rule) == ("LABEL_INVALID", rule)
    assert judged.detail


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ("bücher", "xn--bcher-kva"), ("BÜCHER", "xn--bcher-kva"), (" xn--bcher-kva ", "xn--bcher-kva"),
        ("bu\u0308cher", "xn--bcher-kva"), ("москва", "xn--80adxhks"), ("アクメ株式会社", "xn--gck0a7nu95oilas25h5l2d"),
        ("عمان", "xn--mgbxrc"), ("acme", "acme"),
    ],
)  # fmt: skip
def test_where_other_scripts_are_taken_a_label_comes_back_encoded(typed: str, label: str) -> None:
    judged = judge(typed, IDN)
    assert (judged.reason, judged.detail) == ("", "")
    assert judged.label.startswith("xn--") == (label != "acme")
    assert idn.encoded(idn.decoded(judged.label)) == judged.label if label != "acme" else judged.label == "acme"
    if judged.label.startswith("xn--b"):
        assert judged.label == label


@pytest.mark.parametrize(
    ("typed", "reason", "rule"),
    [
        ("раypal", "LABEL_INVALID", "script"), ("αbc", "LABEL_INVALID", "script"), ("xn--a", "LABEL_INVALID", "idn"),
        ("xn--bcher-KVA-", "LABEL_INVALID", "idn"), ("\u212aube", "LABEL_INVALID", "idn"), ("a\u00ad", "LABEL_INVALID", "idn"),
        ("acme\u00a0", "LABEL_INVALID", "idn"), ("-ü", "LABEL_INVALID", "idn"), ("ab--cü", "LABEL_INVALID", "idn"),
        ("ü" * 60, "LABEL_INVALID", "idn"), ("ab--cd", "LABEL_INVALID", "idn"), ("ádmin", "LABEL_RESERVED", "reserved"),
        ("арр", "LABEL_RESERVED", "reserved"), ("асме", "LABEL_INVALID", "confusable"), ("ácme", "LABEL_INVALID", "confusable"),
        ("ᴀᴄᴍᴇ", "LABEL_INVALID", "confusable"), ("ꓮꓚꓟꓰ", "LABEL_INVALID", "confusable"), ("ⲁⲥⲙⲉ", "LABEL_INVALID", "confusable"),
        ("ⲟⲧⲏⲉⲅ", "LABEL_INVALID", "confusable"), ("ꓳꓔꓧꓰꓣ", "LABEL_INVALID", "confusable"),
    ],
)  # fmt: skip
def test_a_label_that_passes_for_another_or_mixes_scripts_is_refused(typed: str, reason: str, rule: str) -> None:
    judged = judge(typed, IDN, held=["acme", "other"])
    assert (judged.reason, judged.rule) == (reason, rule), judged


def may_have(character: str) -> bool:
    """Whether a label may consist of it."""
    try:
        idna.check_label(character)
    except (idna.IDNAError, ValueError):
        return False
    return True


def test_every_character_that_a_label_may_have_passes_for_what_unicode_says_it_is_drawn_like() -> None:
    known = {chr(one): other for one, other in drawn_like().items() if may_have(chr(one))}
    apart = [f"{one} {other}" for one, other in known.items() if not idn.skeletons(one) & idn.skeletons(other)]
    assert (len(drawn_like()), apart) == (6565, [])
    assert len(known) > 1_000


@pytest.mark.parametrize(
    ("typed", "held"),
    [("ဝ၀", "oo"), ("ꓮꓲ", "ai"), ("ꓮꓲ", "al"), ("ɑlpha", "alpha"), ("ᏦᎥ", "ki"), ("οοο", "ооо"), ("ไอ", "ไอ")],
)
def test_labels_that_are_drawn_alike_pass_for_each_other(typed: str, held: str) -> None:
    assert idn.skeletons(typed) & idn.skeletons(held)
    assert not idn.skeletons(typed) & idn.skeletons(held + "z")


def test_a_plain_label_that_a_held_one_passes_for_is_refused_and_plain_ones_never_pass_for_each_other() -> None:
    assert judge("acme", IDN, held=[idn.encoded("ácme")]).rule == "confusable"
    assert judge("acme1", IDN, held=["acmel", "acme1"]).reason == ""
    assert judge("bücher", IDN, held=["xn--bcher-kva"]).reason == "", "whether it is free itself is another question"


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_whatever_is_typed_is_refused_or_has_one_encoded_form(typed: str) -> None:
    judged = judge(typed, IDN)
    if judged.reason:
        return
    assert judge(judged.label, IDN) == judged
    assert judge(idn.decoded(judged.label), IDN) == judged
    assert re.fullmatch("[a-z0-9-]{1,63}", judged.label)


@pytest.mark.parametrize("label", ["a", "a" * 63, "a1", "a-b", "a1-2b"])
def test_a_label_of_letters_digits_and_inner_hyphens_is_fine(label: str) -> None:
    assert judge(label, Policy()).reason == ""


def test_an_organization_may_begin_with_a_digit_and_has_2_to_32_characters() -> None:
    assert judge("3m", ORGANIZATION).reason == ""
    assert [judge(label, ORGANIZATION).rule for label in ("m", "m" * 33)] == ["length", "length"]


@pytest.mark.parametrize("label", ["WWW", "ns7", "mx10", "autoconfig", "autodiscover", "wpad", "localhost", "console"])
def test_names_of_the_platform_and_of_servers_are_never_handed_out(label: str) -> None:
    assert judge(label, Policy()).reason == "LABEL_RESERVED"


def test_a_pattern_is_about_the_whole_label() -> None:
    assert [judge(label, Policy()).reason for label in ("ns", "nsa7", "ns7a", "xns7")] == [""] * 4


def test_the_base_list_has_the_21_names_of_the_specification() -> None:
    assert len(BASE_RESERVED) == 21


def test_a_label_that_the_pools_zone_uses_is_reserved_by_fact() -> None:
    judged = judge("shop", Policy(), frozenset({"shop"}))
    assert (judged.reason, judged.rule) == ("LABEL_RESERVED", "in_use")


@given(st.text(max_size=70))
def test_whatever_is_typed_is_judged_and_what_passes_is_a_host_name_label(typed: str) -> None:
    judged = judge(typed, Policy())
    assert judged.reason in ("", "LABEL_INVALID", "LABEL_RESERVED")
    if not judged.reason:
        assert judged.label.isascii()
        assert judged.label == typed.strip(" \t\r\n").lower()
        assert set(judged.label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert judge(judged.label, Policy()) == judged

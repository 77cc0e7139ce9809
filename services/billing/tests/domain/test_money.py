"""Money is exact."""

from decimal import Decimal
from fractions import Fraction

import pytest
from catalyst_billing.domain.currencies import EXPONENTS
from catalyst_billing.domain.money import (
    LIMIT,
    AmountInvalid,
    AmountOutOfRange,
    CurrencyUnsupported,
    Money,
    UnlikeCurrencies,
    parse,
    total,
)
from hypothesis import given
from hypothesis import strategies as st

from ..makers import omr

amounts = st.integers(-(10**15), 10**15)
weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=8).filter(any)


@pytest.mark.parametrize(("text", "minor"), [("9", 9000), ("9.5", 9500), ("9.500", 9500), ("0.001", 1), ("0", 0)])
def test_an_amount_of_omr_has_up_to_three_decimals(text: str, minor: int) -> None:
    assert parse(text, "OMR") == Money(minor, "OMR")


@pytest.mark.parametrize(
    "text", ["9.5000", "9,50", "1e3", "NaN", "", ".5", "9.", "-9", "+9", " 9", "9\n", "٩", "0x9", "9" * 20]
)
def test_what_is_no_plain_amount_is_refused(text: str) -> None:
    with pytest.raises(AmountInvalid):
        parse(text, "OMR")


def test_yen_have_no_decimals() -> None:
    assert str(parse("950", "JPY")) == "950 JPY"
    with pytest.raises(AmountInvalid, match="at most 0 decimals"):
        parse("9.5", "JPY")


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(CurrencyUnsupported, match="XAU"):
        Money(1, "XAU")
    with pytest.raises(CurrencyUnsupported):
        parse("1", "omr")


@pytest.mark.parametrize("minor", [LIMIT, -LIMIT - 1])
def test_what_leaves_64_bits_is_refused(minor: int) -> None:
    with pytest.raises(AmountOutOfRange):
        Money(minor, "OMR")
    assert Money(LIMIT - 1, "OMR").minor == LIMIT - 1


def test_an_overflowing_sum_is_refused_and_not_wrapped() -> None:
    with pytest.raises(AmountOutOfRange):
        _ = Money(LIMIT - 1, "OMR") + Money(1, "OMR")
    with pytest.raises(AmountOutOfRange):
        parse("9999999999999999999", "OMR")


@pytest.mark.parametrize("minor", [9.0, True, Decimal(9), "9"])
def test_only_an_int_is_an_amount(minor: object) -> None:
    with pytest.raises(TypeError):
        Money(minor, "OMR")  # type: ignore[arg-type]


def test_unlike_currencies_are_not_mixed() -> None:
    baisa, cent = Money(1, "OMR"), Money(1, "EUR")
    for mix in (lambda: baisa + cent, lambda: baisa - cent, lambda: baisa < cent, lambda: baisa >= cent):
        with pytest.raises(UnlikeCurrencies):
            mix()
    assert baisa != cent


def test_amounts_of_one_currency_are_ordered() -> None:
    one, two = omr("1"), omr("2")
    assert one < two <= two
    assert two > one >= one
    assert not omr("0")
    assert one.is_positive
    assert not (-one).is_positive


def test_a_half_is_rounded_to_the_even_unit() -> None:
    assert [Money(n, "OMR").times(Decimal("0.5")).minor for n in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]
    assert Money(9000, "OMR").share(1500).minor == 1350
    assert Money(LIMIT - 1, "OMR").times(Decimal(1)).minor == LIMIT - 1


def test_display_uses_the_exponent() -> None:
    assert [str(omr("9.5")), str(omr("-0.050")), str(Money(-5, "JPY"))] == ["9.500 OMR", "-0.050 OMR", "-5 JPY"]


def test_the_card_part_is_rounded_down_to_the_step() -> None:
    assert omr("9.456").floor_to(10) == omr("9.450")


def test_a_total_of_nothing_is_zero() -> None:
    assert total([], "OMR") == omr("0")
    assert omr("2") * 3 == omr("6")


def test_of_equal_remainders_the_first_gets_the_unit() -> None:
    assert [m.minor for m in Money(10, "OMR").split([1, 1, 1])] == [4, 3, 3]
    assert [m.minor for m in Money(-10, "OMR").split([1, 1, 1])] == [-4, -3, -3]


@pytest.mark.parametrize("bad", [[0, 0], [1, -1, 1]])
def test_weights_that_mean_nothing_are_a_bug(bad: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        omr("1").split(bad)


@given(amounts, weights)
def test_parts_sum_to_the_whole_and_are_near_their_share(minor: int, by: list[int]) -> None:
    parts = Money(minor, "OMR").split(by)
    assert sum(part.minor for part in parts) == minor
    for part, weight in zip(parts, by, strict=True):
        assert abs(part.minor * sum(by) - minor * weight) < sum(by)


@given(st.integers(0, 10**15), st.sampled_from(sorted(EXPONENTS)))
def test_what_is_displayed_can_be_read_again(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert parse(str(money).split()[0], currency) == money


@given(amounts, amounts, amounts)
def test_sums_do_not_depend_on_their_order(a: int, b: int, c: int) -> None:
    x, y, z = (Money(n, "OMR") for n in (a, b, c))
    assert (x + y) + z == z + (y + x)
    assert (x + y) - y == x


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**13), st.integers(1, 10**13))
def test_a_fraction_is_the_exact_one_rounded_half_to_even(minor: int, part: int, whole: int) -> None:
    assert Money(minor, "OMR").fraction(part % (whole + 1), whole).minor == round(
        Fraction(minor * (part % (whole + 1)), whole)
    )

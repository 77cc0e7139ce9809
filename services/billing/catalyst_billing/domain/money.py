"""Money: whole minor units and a currency.

Invariants
  exact        an amount is an integer of 64 bits; whatever leaves that range is refused, never wrapped or rounded;
  never mixed  amounts of unlike currencies are not added, subtracted or compared;
  parts        the parts of a split sum to the whole, whatever the weights.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from catalyst_sdk import Code, Refused

from .currencies import EXPONENTS

LIMIT = 2**63
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""Digits enough for a 64-bit amount times any rate, so that rounding happens once, at the end."""


class CurrencyUnsupported(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "CURRENCY_UNSUPPORTED", "currency {currency} is not supported"


class AmountInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "AMOUNT_INVALID", "{text} is no amount of {currency}: {why}"


class AmountOutOfRange(Refused):
    code, reason = Code.INVALID_ARGUMENT, "AMOUNT_OUT_OF_RANGE"
    message = "an amount of {minor} minor units of {currency} does not fit into 64 bits"


class UnlikeCurrencies(TypeError):
    """A bug: amounts of two currencies were to be added or compared."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount. Raises CurrencyUnsupported, AmountOutOfRange."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError("minor units are an int")
        if self.currency not in EXPONENTS:
            raise CurrencyUnsupported(currency=self.currency)
        if not -LIMIT <= self.minor < LIMIT:
            raise AmountOutOfRange(minor=self.minor, currency=self.currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __mul__(self, count: int) -> "Money":
        return Money(self.minor * count, self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.minor >= self._same(other)

    def __str__(self) -> str:
        places = EXPONENTS[self.currency]
        whole, rest = divmod(abs(self.minor), 10**places)
        sign = "-" if self.minor < 0 else ""
        return f"{sign}{whole}{f'.{rest:0{places}}' if places else ''} {self.currency}"

    @property
    def is_positive(self) -> bool:
        """Whether it is more than nothing."""
        return self.minor > 0

    def zero(self) -> "Money":
        """Nothing of the same currency."""
        return Money(0, self.currency)

    def times(self, rate: Decimal) -> "Money":
        """The product, rounded half to even once."""
        exact = _EXACT.multiply(Decimal(self.minor), rate)
        return Money(int(exact.to_integral_value(ROUND_HALF_EVEN)), self.currency)

    def fraction(self, part: int, whole: int) -> "Money":
        """`part` of `whole` equal parts of it, rounded half to even; exact, however many parts there are."""
        below, rest = divmod(self.minor * part, whole)
        odd = below % 2 == 1
        return Money(below + (2 * rest > whole or (2 * rest == whole and odd)), self.currency)

    def share(self, bps: int) -> "Money":
        """So many hundredths of a percent of it, rounded half to even."""
        return self.times(Decimal(bps).scaleb(-4))

    def floor_to(self, step: int) -> "Money":
        """The largest multiple of `step` minor units that is not above it."""
        return Money(self.minor - self.minor % step, self.currency)

    def split(self, weights: Sequence[int]) -> list["Money"]:
        """Parts in the ratio of `weights` by largest remainder; of equal remainders the first gets the unit."""
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise ValueError("weights are not negative, and not all of them are zero")
        sign = -1 if self.minor < 0 else 1
        cuts = [divmod(abs(self.minor) * weight, total) for weight in weights]
        left = abs(self.minor) - sum(whole for whole, _ in cuts)
        first = sorted(range(len(cuts)), key=lambda n: -cuts[n][1])[:left]
        return [Money(sign * (whole + (n in first)), self.currency) for n, (whole, _) in enumerate(cuts)]

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise UnlikeCurrencies(f"{self.currency} and {other.currency}")
        return other.minor


def parse(text: str, currency: str) -> Money:
    """Read `9`, `9.5` or `9.500`: digits, at most the currency's decimals, no sign. Raises AmountInvalid."""
    if currency not in EXPONENTS:
        raise CurrencyUnsupported(currency=currency)
    places = EXPONENTS[currency]
    match = re.fullmatch(r"([0-9]{1,19})(?:\.([0-9]+))?", text)
    if match is None:
        raise AmountInvalid(text=text, currency=currency, why="digits are expected, with a point before the decimals")
    whole, decimals = match[1], match[2] or ""
    if len(decimals) > places:
        raise AmountInvalid(text=text, currency=currency, why=f"it has at most {places} decimals")
    return Money(int(whole) * 10**places + int(decimals.ljust(places, "0") or 0), currency)


def total(amounts: Sequence[Money], currency: str) -> Money:
    """Sum of `amounts`, nothing of `currency` where there are none."""
    return sum(amounts, Money(0, currency))

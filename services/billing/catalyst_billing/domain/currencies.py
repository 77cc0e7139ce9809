"""Currencies that can be booked: data. A row more is a currency more; nothing else knows a code by name."""

from collections.abc import Mapping

EXPONENTS: Mapping[str, int] = {
    "BHD": 3,
    "EUR": 2,
    "JPY": 0,
    "KWD": 3,
    "OMR": 3,
    "USD": 2,
}
"""Decimal places of the minor unit (ISO 4217): 9.000 OMR = 9000 baisa."""

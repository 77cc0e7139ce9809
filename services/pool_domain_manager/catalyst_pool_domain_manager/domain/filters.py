"""Filters of lists (AIP-160, the part of it that lists of names need): `field = value`, joined by AND."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from catalyst_sdk import Code, Refused, Violation

from .allocations import Allocation, State

FIELDS = ("state", "owner", "holder", "fqdn")
_TERM = re.compile(r'\s*([a-z_]+)\s*=\s*(?:"([^"]*)"|([^\s"]+))\s*')
_STATES = {state.name for state in State if state is not State.FREE}


class FilterInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "FILTER_INVALID", "the filter cannot be used: {detail}"
    field = "filter"

    def __init__(self, detail: str) -> None:
        super().__init__(violations=(Violation("filter", detail, "filter"),), detail=detail)


@dataclass(frozen=True, slots=True)
class Filter:
    """What a name's fields must be, all of it."""

    terms: tuple[tuple[str, str], ...] = ()

    def takes(self, a: Allocation) -> bool:
        """Whether a name is in the list."""
        return all((a.state.name if field == "state" else getattr(a, field)) == value for field, value in self.terms)


def parse(text: str) -> Filter:
    """Read a filter. Raises FilterInvalid."""
    terms = parse_terms(text, FIELDS)
    for field, value in terms:
        if field == "state" and value not in _STATES:
            raise FilterInvalid(f"{value!r} is no state")
    return Filter(terms)


def parse_terms(text: str, fields: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Fields with the value that each must have. Raises FilterInvalid."""
    terms = []
    for part in re.split(r"\s+AND\s+", text.strip()) if text.strip() else ():
        found = _TERM.fullmatch(part)
        if found is None:
            raise FilterInvalid(f"{part!r} is not `field = value`")
        field, value = found[1], found[2] if found[2] is not None else found[3]
        if field not in fields:
            raise FilterInvalid(f"{field} is none of {', '.join(fields)}")
        terms.append((field, value))
    return tuple(terms)

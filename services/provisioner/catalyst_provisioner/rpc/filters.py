"""List filters (AIP-160), the part of it that lists need: `field = value` joined by AND, with `!=`, `<`, `<=`, `>`, `>=` too.

A filter is judged on the resource as it is shown. What is not served is refused, never ignored.
"""

import operator
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from catalyst_mesh import Page
from catalyst_sdk import Code, Refused
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


class FilterInvalid(Refused):
    """INVALID_ARGUMENT: a filter that this list does not serve."""

    code, reason = Code.INVALID_ARGUMENT, "FILTER_INVALID"
    message = "filter: {filter} is not served here; {fix}"
    field = "filter"


class NotServed(Refused):
    """What the contract has and this release has not: refused, never ignored."""

    code, reason, message = Code.UNIMPLEMENTED, "CAPABILITY_MISSING", "{capability} is not served by this release"


Row = TypeVar("Row")
Shown = TypeVar("Shown", bound=Message)
SOVEREIGNS = ("state", "health", "spec.organization.slug", "fqdn", "create_time")
PLANS = ("state", "intent", "applicable", "create_time")
RUNS = ("state", "intent", "plan", "start_time", "end_time")
STEPS = ("state", "phase", "cluster", "component")
LEDGER = ("state", "cluster", "kind", "provider", "region", "manager", "leftover")
COMPONENTS = ("state", "blueprint", "namespace", "optional", "wave")
CREDENTIALS = ("kind", "provider", "organization")
OFFERS = ("size", "architecture", "category", "vcpu", "memory_mib", "deprecated")
_TERM = re.compile(r'\s*([a-z_.]+)\s*(!=|<=|>=|=|<|>)\s*(?:"([^"]*)"|([^\s"=<>!]+))\s*')
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison."""

    path: tuple[str, ...]
    sign: str
    value: Any

    def takes(self, shown: Message) -> bool:
        """Whether a resource is meant."""
        *way, last = self.path
        for name in way:
            shown = getattr(shown, name)
        found = _plain(shown, last)
        return found is not None and _SIGNS[self.sign](found, self.value)


@dataclass(frozen=True, slots=True)
class Filter:
    """All of its terms have to take a resource."""

    terms: tuple[Term, ...] = ()

    def takes(self, shown: Message) -> bool:
        """Whether a resource is in the list."""
        return all(term.takes(shown) for term in self.terms)

    def asks(self, field: str) -> bool:
        """Whether a term is about that field."""
        return any(term.path == tuple(field.split(".")) for term in self.terms)


def parse(text: str, kind: type[Message], fields: Sequence[str]) -> Filter:
    """Read a filter over `fields` of resources of a kind. Raises FilterInvalid."""
    if not text.strip():
        return Filter()
    return Filter(tuple(_term(part, text, kind, fields) for part in re.split(r"\s+AND\s+", text.strip())))


async def filled(
    page: Page, filter: Filter, *, fetch: Callable[[Any], Awaitable[Sequence[Row]]],
    show: Callable[[Row], Awaitable[Shown]], key: Callable[[Row], Any],
) -> tuple[list[Shown], str]:  # fmt: skip
    """A page of what the filter takes, and the token of the next one.

    fetch   rows after a key, one more than a page holds, fewer only at the end
    """
    kept: list[tuple[Row, Shown]] = []
    after = page.after
    while len(kept) <= page.size:
        rows = await fetch(after)
        for row in rows:
            shown = await show(row)
            if filter.takes(shown):
                kept.append((row, shown))
        if len(rows) <= page.size:
            break
        after = key(rows[-1])
    cut = page.cut(kept[: page.size + 1], lambda pair: key(pair[0]))
    return [shown for _, shown in cut.rows], cut.next_page_token


def _term(part: str, whole: str, kind: type[Message], fields: Sequence[str]) -> Term:
    found = _TERM.fullmatch(part)
    if found is None or found[1] not in fields:
        fix = f"take `field = value` joined by AND; fields are {', '.join(fields)}"
        raise FilterInvalid(filter=whole[:100], fix=fix)
    path, sign, text = tuple(found[1].split(".")), found[2], found[3] if found[3] is not None else found[4]
    field: Any = kind.DESCRIPTOR.fields_by_name[path[0]]
    for name in path[1:]:
        field = field.message_type.fields_by_name[name]
    try:
        return Term(path, sign, _value_of(field, text, sign))
    except ValueError as error:
        raise FilterInvalid(filter=whole[:100], fix=f"{found[1]} cannot be compared with {text}") from error


def _value_of(field: FieldDescriptor, text: str, sign: str) -> Any:
    """What a word means for a field. Raises ValueError."""
    if field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        name = text if text.startswith(prefix) else f"{prefix}{text}"
        if name not in field.enum_type.values_by_name or sign not in ("=", "!="):
            raise ValueError(text)
        return field.enum_type.values_by_name[name].number
    if field.message_type is not None:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"true": True, "false": False}[text] if text in ("true", "false") else _no(text)
    return text if field.type == FieldDescriptor.TYPE_STRING else int(text)


def _no(text: str) -> Any:
    raise ValueError(text)


def _plain(shown: Message, name: str) -> Any:
    """A field's value; None for a moment that is not there."""
    field = shown.DESCRIPTOR.fields_by_name[name]
    value = getattr(shown, name)
    if field.message_type is None:
        return value
    return value.ToDatetime(UTC) if shown.HasField(name) else None


def grants(text: str) -> dict[str, str]:
    """`state = ACTIVE`, `cluster = …` or `grantee = …`."""
    if not text:
        return {}
    for key in ("state", "cluster", "grantee"):
        value = _value(text, key)
        if key == "state" and value:
            value = value.removeprefix("STATE_").lower()
            value = value if value in ("active", "revoking", "revoked", "expired") else ""
        if value:
            return {key: value}
    raise FilterInvalid(filter=text[:100], fix="take `state = ACTIVE`, `cluster = …`, `grantee = …`, or none")


def _value(text: str, wanted: str) -> str:
    key, sign, value = text.partition("=")
    return value.strip().strip('"') if sign and key.strip() == wanted else ""

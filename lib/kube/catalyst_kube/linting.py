"""Whether an object is right, judged without an API server: by its strict schema first, then by the rules between fields."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, cast

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from .kind import Kind, Rule
from .kinds import KINDS
from .schemas import strict


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong.

    field    path from the whole object: `spec.regions[1].code`
    message  what is wrong, and what would be right
    """

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def lint(new: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> list[Violation]:
    """All that is wrong with an object; with `old` also what must not change.

    Rules are asked only where the schema found nothing, because they rely on it.
    """
    kind = KINDS.get(str(new.get("kind", "")))
    if kind is None:
        return [Violation("kind", f"{new.get('kind')!r} is none of {', '.join(sorted(KINDS))}")]
    found = [each for error in _validator(kind.name).iter_errors(new) for each in _told(error)]
    return sorted(found, key=str) or list(_broken(kind, new, old))


def _broken(kind: Kind, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[Violation]:
    for rules, path in ((kind.rules, "spec"), (kind.whole, "")):
        now = new[path] if path else new
        before = None if old is None else old[path] if path else old
        for rule in rules:
            if (before is not None or not rule.compares) and not _holds(rule, now, before):
                yield Violation(rule.at, rule.message)


def _holds(rule: Rule, now: Any, before: Any) -> bool:
    given: dict[str, Any] = {"self": json_to_cel(now)}
    if rule.compares:
        given["oldSelf"] = json_to_cel(before)
    return bool(_program(rule.expression).evaluate(given))


@cache
def _program(expression: str) -> celpy.Runner:
    environment = celpy.Environment(annotations={"self": celtypes.MapType, "oldSelf": celtypes.MapType})
    return environment.program(environment.compile(expression))


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(strict(KINDS[name]))


def _told(error: ValidationError) -> Iterator[Violation]:
    if (
        error.validator in ("anyOf", "oneOf") and error.context
    ):  # of several shapes the one that fits furthest was meant
        error = max(error.context, key=lambda each: len(each.absolute_path))
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path).lstrip(".")
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        known, instance = list(schema.get("properties", ())), dict(cast(Any, error.instance))
        for name in sorted(set(instance) - set(known)):
            yield Violation(f"{path}.{name}".lstrip("."), f"there is no such field{_meant(name, known)}")
    else:
        yield Violation(path or "the object", error.message)


def _meant(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; {near[0]} is meant" if near else f"; there are {', '.join(sorted(known))}"

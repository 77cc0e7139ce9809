"""What the JSON parser of proto complains about, in words for whoever wrote the JSON: where, and what is expected there."""

import re
from collections.abc import Mapping
from typing import Any

from catalyst_sdk import Violation
from google.protobuf import descriptor_pool

_UNKNOWN = re.compile(r'no field named "([^"]+)" at "([^"]+)"')
_FAILED = re.compile(r"Failed to parse (\w+) field: ")
_AT = re.compile(r" at [A-Za-z]\w*\.([\w.\[\]]*?\w\]?)?\.*$")
_ENUM = re.compile(r"Invalid enum value (.+) for enum type ([\w.]+)")
_SENTENCES = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (r"literal for int|parse integer|for integer field|int\(\) argument", "a whole number is expected"),
        (r"parse float|could not convert string to float|for float field", "a number is expected"),
        (r"expected string or bytes-like|must be str", "text is expected"),
        (r"Expected true or false", "true or false is expected"),
        (r"must be in \[\]", "a list is expected"),
        (r"not iterable|no attribute|indices must be|unhashable", "an object is expected"),
        (r"Unpaired surrogate", "half of a character (an unpaired surrogate) is no text"),
        (r"[Tt]imestamp", "a moment is expected, such as 2026-12-31T12:00:00Z"),
        (r"[Dd]uration", "a span is expected, such as 90s"),
    )
)  # fmt: skip - words of the parser, and ours


def violation(text: str, wish: Mapping[str, Any]) -> Violation:
    """One violation from the parser's text about `wish`."""
    line = text.split("\n")[0]
    unknown = _UNKNOWN.search(line)
    path = ".".join(_FAILED.findall(line))
    if unknown:
        path = ".".join((*unknown[2].split(".")[1:], unknown[1]))
    elif (at := _AT.search(line)) and (at[1] or "").count(".") >= path.count("."):
        path = at[1] or path
    if (whole := _no_object(path, wish)) is not None:
        return Violation(whole, "an object is expected", "json")
    return Violation(path, "there is no such field" if unknown else _sentence(_FAILED.sub("", line)), "json")


def _no_object(path: str, wish: Any) -> str | None:
    """The part of `path` that has something else where an object is expected: the parser takes it for one with odd fields."""
    here, gone = wish, list[str]()
    for step in path.split(".")[:-1]:
        name, _, place = step.partition("[")
        if not isinstance(here, Mapping) or name not in here:
            return None
        here = here[name]
        gone.append(step)
        if place and isinstance(here, list):
            here = here[int(place.rstrip("]"))]
        if not isinstance(here, Mapping):
            return None if isinstance(here, list) and not place and _listed(here) else ".".join(gone)
    return None


def _listed(values: list[Any]) -> bool:
    """Whether all of a list are objects, so that the fault lies within one of them."""
    return all(isinstance(value, Mapping) for value in values)


def _sentence(text: str) -> str:
    if chosen := _ENUM.search(text):
        known = descriptor_pool.Default().FindEnumTypeByName(chosen[2]).values
        return f"{chosen[1]} is none of {', '.join(value.name for value in known if value.number)}"
    found = next((sentence for pattern, sentence in _SENTENCES if pattern.search(text)), None)
    return found or _AT.sub("", text).rstrip(".")

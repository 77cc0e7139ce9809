"""The formats that a configSchema may ask for, each checked here rather than by whatever happens to be installed."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from jsonschema import FormatChecker

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


def is_hostname(text: str) -> bool:
    """RFC 1123, section 2.1: labels of letters, digits and inner hyphens, 253 characters at most."""
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.split("."))


def is_email(text: str) -> bool:
    """One `@`, something before it, a host name with a dot behind it."""
    local, _, host = text.rpartition("@")
    return bool(local) and not re.search(r"[\s@]", local) and "." in host and is_hostname(host) and len(text) <= 254


def is_uri(text: str) -> bool:
    """RFC 3986 with a scheme; relative references are refused."""
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+", text)) and _splits(text)


def is_moment(text: str) -> bool:
    """RFC 3339: with seconds and an offset."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text):
        return False
    return _parses(datetime.fromisoformat, text.upper())


CHECKS: Mapping[str, Callable[[str], bool]] = {
    "hostname": is_hostname,
    "email": is_email,
    "uri": is_uri,
    "ipv4": lambda text: _parses(IPv4Address, text),
    "ipv6": lambda text: _parses(IPv6Address, text),
    "date-time": is_moment,
}


def checker() -> FormatChecker:
    """A jsonschema checker that knows exactly these formats."""
    made = FormatChecker(())
    for name, check in CHECKS.items():
        made.checks(name)(_for_text(check))
    return made


def _for_text(check: Callable[[str], bool]) -> Callable[[object], bool]:
    # Formats say nothing about values that are no text (JSON Schema 2020-12, section 7.2.1).
    return lambda value: check(value) if isinstance(value, str) else True


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _splits(text: str) -> bool:
    return _parses(lambda value: urlsplit(value).port, text)

"""What the tool tells while it works, line by line. Pure.

Meaning comes from the JSON of a line alone: its `type`, and the fields that belong to it. Text that was written for
people is carried along and never interpreted. A type that is not known here is passed on as a line of the log, so a
newer tool of the same dialect does no harm.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIALECT = "1"
"""Major version of the stream (`ui`) that is understood here."""
LONGEST_TEXT = 4_000
"""Characters of a text for people that are kept; a provider may answer with a whole page."""


class UnknownDialect(Exception):
    """The tool speaks another major version of its stream."""

    def __init__(self, ui: str) -> None:
        super().__init__(f"the tool's stream has version {ui}, understood is {DIALECT}.x")


@dataclass(frozen=True, slots=True)
class Version:
    """The first line: which tool this is."""

    tool: str
    ui: str


@dataclass(frozen=True, slots=True)
class Started:
    """The tool begins to create, update or delete the resource at `address`."""

    address: str
    action: str


@dataclass(frozen=True, slots=True)
class Done:
    """The provider has confirmed it. `id` is the cloud's."""

    address: str
    action: str
    id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not come about, or not wholly; the reason follows as a diagnostic."""

    address: str
    action: str


@dataclass(frozen=True, slots=True)
class Drifted:
    """The resource is not as the state has it."""

    address: str
    action: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What the tool means to do with a resource."""

    address: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error or a warning. `summary` and `detail` are text for people."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""

    @property
    def is_error(self) -> bool:
        """Whether the command fails by it."""
        return self.severity == "error"

    def __str__(self) -> str:
        return ": ".join(part for part in (self.address, self.summary, self.detail.strip()) if part)


@dataclass(frozen=True, slots=True)
class Log:
    """Anything else."""

    text: str


Message = Version | Started | Done | Failed | Drifted | Planned | Diagnostic | Log


def said(message: Message) -> str:
    """The message as a line for people; empty for what tells nothing."""
    match message:
        case Version(tool, _):
            return f"tool {tool}"
        case Started(address, action):
            return f"{address}: {action} begins"
        case Done(address, action, id):
            return f"{address}: {action} done{f', id {id}' if id else ''}"
        case Failed(address, action):
            return f"{address}: {action} failed"
        case Drifted(address, action):
            return f"{address}: changed outside ({action})"
        case Planned(address, action, reason):
            return f"{address}: {action} is planned{f', {reason}' if reason else ''}"
        case Diagnostic():
            return str(message)
        case Log(text):
            return text


def parse(line: str) -> Message:
    """The message of one line. Raises UnknownDialect; a line that is no JSON object is a line of the log."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return Log(line[:LONGEST_TEXT])
    if not isinstance(raw, dict):
        return Log(line[:LONGEST_TEXT])
    return _message(raw)


def _message(raw: Mapping[str, Any]) -> Message:
    kind, hook, change = raw.get("type"), _table(raw, "hook"), _table(raw, "change")
    if kind == "version":
        return _version(raw)
    if kind == "apply_start":
        return Started(_address(hook), _text(hook, "action"))
    if kind == "apply_complete":
        return Done(_address(hook), _text(hook, "action"), _text(hook, "id_value"))
    if kind == "apply_errored":
        return Failed(_address(hook), _text(hook, "action"))
    if kind == "resource_drift":
        return Drifted(_address(change), _text(change, "action"))
    if kind == "planned_change":
        return Planned(_address(change), _text(change, "action"), _text(change, "reason"))
    if kind == "diagnostic":
        return diagnostic(_table(raw, "diagnostic"))
    return Log(_text(raw, "@message"))


def diagnostic(raw: Mapping[str, Any]) -> Diagnostic:
    """A diagnostic, as the stream and `validate -json` give it."""
    severity = _text(raw, "severity") or "error"
    return Diagnostic(severity, _text(raw, "summary"), _text(raw, "detail"), _text(raw, "address"))


def _version(raw: Mapping[str, Any]) -> Version:
    ui = _text(raw, "ui")
    if ui.partition(".")[0] != DIALECT:
        raise UnknownDialect(ui or "(none)")
    return Version(_text(raw, "tofu") or _text(raw, "terraform"), ui)


def _table(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = raw.get(key)
    return found if isinstance(found, dict) else {}


def _text(raw: Mapping[str, Any], key: str) -> str:
    found = raw.get(key)
    return "" if found is None else str(found)[:LONGEST_TEXT]


def _address(raw: Mapping[str, Any]) -> str:
    return _text(_table(raw, "resource"), "addr")

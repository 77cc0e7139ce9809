"""Release channels: which exact versions of Blueprints the Sovereigns of a channel have. Pure.

Invariants
  asked      a channel's move changes no Sovereign; an upgrade of one, planned and agreed to, takes it;
  named      an upgrade moves what the channel names, and nothing else; what it does not name stays where it is;
  forward    nothing goes back: who is ahead of its channel stays there, and hears so;
  proven     a channel that comes after another one is taken only where all Sovereigns of that one stand well with it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalyst_sdk.cloud import Finding, Severity

STABLE = "stable"
PATH = "spec.release.channel"
_CHANNEL = re.compile(r"^(canary|ring[1-9][0-9]?|stable)$")
_BLUEPRINT = re.compile(r"^bp-[a-z0-9][a-z0-9-]{0,58}$")
_VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?$")


class BadChannels(ValueError):
    """All that is wrong with what was written, as one sentence."""


@dataclass(frozen=True, slots=True)
class Channel:
    """What one channel holds."""

    name: str
    versions: Mapping[str, str] = field(default_factory=dict)
    """By Blueprint."""
    after: str = ""
    """Channel whose Sovereigns go first; empty: this one waits for nobody."""

    @property
    def digest(self) -> str:
        """Over the versions: the same release in two channels has one digest."""
        plain = json.dumps(dict(self.versions), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(plain.encode()).hexdigest()

    @property
    def told(self) -> str:
        """As a plan names it."""
        return f"{self.name}@{self.digest}"


def read(document: Any) -> dict[str, Channel]:
    """Channels by name: `{name: {versions: {blueprint: version}, after: name}}`. Raises BadChannels with all faults."""
    if not isinstance(document, Mapping):
        raise BadChannels("it must map names of channels to what they hold")
    faults = [fault for name, row in document.items() for fault in _faults(str(name), row, document)]
    if faults:
        raise BadChannels("; ".join(faults))
    return {
        name: Channel(name, {k: str(v) for k, v in row["versions"].items()}, row.get("after", ""))
        for name, row in document.items()
    }


def of(document: Mapping[str, Any]) -> str:
    """The channel of a spec."""
    return str((document.get("release") or {}).get("channel") or STABLE)


def pins(channel: Channel, stands: Mapping[str, str], *, newest: bool) -> dict[str, str]:
    """Versions that are demanded exactly: of what is new, and in an upgrade of what is behind too."""
    return {
        name: version
        for name, version in channel.versions.items()
        if name not in stands or (newest and order(stands[name]) < order(version))
    }


def order(version: str) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
    """How versions are sorted (semver.org, section 11); what is none comes first."""
    match = _VERSION.match(version)
    if match is None:
        return (), False, ()
    core, pre = tuple(map(int, match.groups()[:3])), match[4] or ""
    parts = tuple((not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in pre.split(".") if p)
    return core, not pre, parts


def findings(channel: Channel, stands: Mapping[str, str], *, upgrading: bool) -> Iterator[Finding]:
    """How what stands compares with the channel."""
    known = {name: version for name, version in stands.items() if name in channel.versions}
    behind = [name for name in sorted(known) if order(known[name]) < order(channel.versions[name])]
    ahead = [name for name in sorted(known) if order(known[name]) > order(channel.versions[name])]
    if behind and not upgrading:
        moves = ", ".join(f"{name} {known[name]} to {channel.versions[name]}" for name in behind)
        text = f"channel {channel.name} has moved: {moves}"
        yield Finding("release.behind", Severity.INFO, PATH, text, "plan an upgrade", {"digest": channel.digest})
    if ahead:
        text = f"ahead of channel {channel.name}, and stays: {', '.join(ahead)}"
        yield Finding("release.ahead", Severity.INFO, PATH, text)


def missing(name: str, known: Iterable[str]) -> Finding:
    """A channel that nobody has said anything of."""
    text = f"there is no channel {name}; there are {', '.join(sorted(known)) or 'none'}"
    return Finding("release.channel", Severity.ERROR, PATH, text, "name another channel")


@dataclass(frozen=True, slots=True)
class Member:
    """A Sovereign of a channel, as far as its proof goes."""

    name: str
    is_well: bool
    """Whether it is active."""
    ready: Mapping[str, str]
    """Version by component of those that are ready in all of its clusters."""


def unproven(channel: Channel, moving: Iterable[str], first: Sequence[Member]) -> list[Finding]:
    """What stands against taking a release because those who go first do not stand well with it.

    moving   components that the upgrade moves
    first    Sovereigns of the channel that goes first
    """
    wanted = sorted(set(moving) & channel.versions.keys())
    if not channel.after or not wanted:
        return []
    against = [why for member in first if (why := _against(member, channel, wanted))]
    if first and not against:
        return []
    text = "; ".join(against[:5]) or f"no Sovereign of channel {channel.after} has it"
    remedy = f"upgrade those of {channel.after} first, and mend what fails there"
    return [
        Finding("release.unproven", Severity.ERROR, PATH, f"{channel.name} comes after {channel.after}: {text}", remedy)
    ]


def _against(member: Member, channel: Channel, wanted: Sequence[str]) -> str:
    if not member.is_well:
        return f"{member.name} is not active"
    short = [n for n in wanted if n in member.ready and order(member.ready[n]) < order(channel.versions[n])]
    short += [n for n in wanted if member.ready.get(n) == ""]
    return f"{member.name} has no ready {', '.join(sorted(short))} of it" if short else ""


def _faults(name: str, row: Any, whole: Mapping[str, Any]) -> Iterator[str]:
    if not _CHANNEL.match(name):
        yield f"{name} is no channel; they are canary, ring1 and on, stable"
    if not isinstance(row, Mapping) or not isinstance(row.get("versions"), Mapping):
        yield f"{name} has no versions"
        return
    for blueprint, version in row["versions"].items():
        if not _BLUEPRINT.match(str(blueprint)):
            yield f"{name}: {blueprint} is no Blueprint"
        if not _VERSION.match(str(version)):
            yield f"{name}: {blueprint} has {version}, which is no exact version"
    if unknown := sorted(set(row) - {"versions", "after"}):
        yield f"{name}: nobody knows {', '.join(map(str, unknown))}"
    if (after := row.get("after")) and (after not in whole or _circles(name, whole)):
        yield f"{name} comes after {after}, which is {'itself in the end' if after in whole else 'no channel here'}"


def _circles(name: str, whole: Mapping[str, Any]) -> bool:
    seen, here = {name}, whole[name].get("after")
    while here and isinstance(whole.get(here), Mapping):
        if here in seen:
            return True
        seen.add(here)
        here = whole[here].get("after")
    return False

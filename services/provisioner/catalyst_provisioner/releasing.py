"""What channels hold now, and how their Sovereigns stand with it. The file is read for each plan: a move needs no restart."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from catalyst_mesh import Work
from catalyst_sdk.cloud import Finding, Severity

from .domain import channels
from .domain.channels import Channel, Member
from .domain.component_states import ComponentState
from .domain.locks import Lock
from .domain.sovereign import State
from .domain.wishes import Document
from .store import Store


@dataclass(frozen=True, slots=True)
class Held:
    """What a spec's channel holds; nothing where nobody has said what channels hold."""

    channel: Channel | None = None
    findings: tuple[Finding, ...] = ()


class Releases:
    """The channels of one file; without one every Sovereign takes what the catalog has."""

    def __init__(self, work: Work[Store], file: Path | None) -> None:
        self._work = work
        self._file = file

    async def held(self, document: Document) -> Held:
        """What the channel of a spec holds now, or what is wrong with it."""
        name = channels.of(document)
        if self._file is None:
            return Held() if name == channels.STABLE else Held(findings=(channels.missing(name, [channels.STABLE]),))
        try:
            known = channels.read(yaml.safe_load(await asyncio.to_thread(self._file.read_text, encoding="utf-8")) or {})
        except OSError as error:
            return _unread(f"cannot be read: {error.strerror}")
        except (yaml.YAMLError, UnicodeDecodeError):
            return _unread("is no YAML")
        except channels.BadChannels as error:
            return _unread(f"is wrong: {error}")
        if name not in known:
            return Held(findings=(channels.missing(name, known),))
        return Held(known[name])

    async def judged(self, held: Held, stands: Mapping[str, str], lock: Lock, *, newest: bool) -> list[Finding]:
        """What is to be said of a lock that was made with the channel."""
        if held.channel is None:
            return list(held.findings)
        found = [*held.findings, *channels.findings(held.channel, stands, upgrading=newest)]
        moving = [c.name for c in lock.components if c.name in stands and c.version != stands[c.name]]
        if newest and held.channel.after and moving:
            found += channels.unproven(held.channel, moving, await self._members(held.channel.after))
        return found

    async def _members(self, channel: str) -> list[Member]:
        """Sovereigns of a channel that were ever made."""
        found = []
        async with self._work.reading() as tx:
            for one in await tx.living():
                if one.activated_at is None or channels.of(one.spec) != channel:
                    continue
                ready: dict[str, str] = {}
                for row in await tx.components(one.id):
                    is_ready = row.state is ComponentState.READY and row.release is not None
                    version = (row.release.version or row.wished_version) if is_ready and row.release else ""
                    ready[row.name] = min(ready.get(row.name, version), version, key=channels.order)
                found.append(Member(one.name, one.state is State.ACTIVE, ready))
        return found


def _unread(why: str) -> Held:
    text = f"the file that says what channels hold {why}"
    return Held(findings=(Finding("release.channels", Severity.ERROR, channels.PATH, text, "mend the file"),))

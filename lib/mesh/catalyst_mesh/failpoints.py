"""Places in the chassis at which a test has the process die or freeze, as a power cut would have it: no `finally` runs.

`CATALYST_FAILPOINTS="relay.published=kill@3;work.after_commit=stop"` kills the daemon when it is for the third time
between the stream's acknowledgement and its own mark, and freezes it after its first commit. Where the variable is not
set nobody holds a `Failpoints`, and a point costs the look at an attribute that is None. Steps of PDM's workers take more:
`pdm.commit.c4.before=hang`.
"""

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import Mapping
from typing import Self

from .settings import SettingsFault

VARIABLE = "CATALYST_FAILPOINTS"
POINTS = {
    "work.before_commit": "decided, saved and told; nothing is committed yet",
    "work.after_commit": "committed; the caller has no answer yet",
    "relay.published": "the stream has acknowledged; the rows are not marked yet",
    "relay.marked": "the rows are marked",
    "consumer.received": "an event is there; nothing is done yet",
    "consumer.committed": "the effect is committed; the event is not acknowledged yet",
    "journal.claimed": "a run is this replica's; nothing is done for it yet",
    "journal.before_commit": "a transition is written; it is not committed yet",
    "journal.after_commit": "a transition is committed; nobody has acted upon it yet",
    "journal.effect": "a step's function has returned; nothing is written of it yet",
}
"""Every point, and what is true there."""

STEPS = re.compile(
    r"pdm\.(commit\.(c[1-6]|end)|release\.r[1-5]|zone\.(write|delete)|roll\.(published|activated|retired|unsigned|ds)"
    r"|flip\.(stage|replay|snapshot|insecure|flip|visible|watch|secure|confirm|apply)"
    r"|back\.(let-go|(unsecure|restore|caches)(-again)?|late|rekey|returned|apply))\.(before|after)"
)
"""Points of PDM's workers: each step of a name's way into the DNS and out of it, of a zone, of an exchange of keys, of a move
and of its way back, before its effect and after it, unwritten. `apply` is the call of the registrar, in whichever step it is."""
PHASES = re.compile(r"continuum\.[A-Z][A-Za-z]+\.(before|after)-(effect|record)")
"""Points of continuum's agents: each phase of a move, before its effect and after it, and before and after that is noted."""
DELAY = 1.0
"""Seconds of a delay."""

_ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_OF_STEPS = frozenset({"error", "hang", "delay"})
"""What a step may do besides: fail as by a bug, never come back, come back late."""
_WISH = re.compile(r"(?P<point>[\w.-]+)=(?P<action>\w+)(?:@(?P<nth>[1-9]\d*))?")
_JOURNAL = {"claim.commit.after": "claimed", "commit.before": "before_commit", "commit.after": "after_commit"}


class Reached(Exception):
    """The failure that was asked for."""


class Failpoints:
    """What is to happen at which hit of which point: by point, the number of the hit and the action."""

    def __init__(self, armed: Mapping[str, tuple[int, str]]) -> None:
        self._armed = dict(armed)
        self._hits: Counter[str] = Counter()

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self | None:
        """What the environment asks for; None: nothing. Raises SettingsFault with every wish that cannot be."""
        text = environ.get(VARIABLE, "")
        wishes = [wish.strip() for wish in re.split("[;,]", text) if wish.strip()]
        if not wishes:
            return None
        armed, faults = {}, []
        for wish in wishes:
            said = _WISH.fullmatch(wish)
            if said and _is_known(said["point"], said["action"]):
                armed[said["point"]] = (int(said["nth"] or 1), said["action"])
            else:
                faults.append(
                    f"  {VARIABLE}: {wish}: write POINT=kill@N or POINT=stop@N, with one of {', '.join(POINTS)}, or a "
                    "step such as pdm.commit.c4.before, which takes error, hang and delay too"
                )
        if faults:
            raise SettingsFault("\n".join(["the settings cannot be used:", *faults]))
        return cls(armed)

    def hit(self, point: str) -> None:
        """The process is at `point`; if that is where it was to end, this does not return."""
        action = self._due(point)
        if action in _ACTIONS:
            os.kill(os.getpid(), _ACTIONS[action])

    async def reach(self, point: str) -> None:
        """The same for a step, which may also fail, hang or be late. Raises Reached."""
        action = self._due(point)
        if action in _ACTIONS:
            os.kill(os.getpid(), _ACTIONS[action])
        elif action == "error":
            raise Reached(point)
        elif action == "hang":
            await asyncio.Event().wait()
        elif action == "delay":
            await asyncio.sleep(DELAY)

    def _due(self, point: str) -> str:
        """What is to happen now; empty: nothing."""
        armed = self._armed.get(point)
        if armed is None:
            return ""
        self._hits[point] += 1
        return armed[1] if self._hits[point] == armed[0] else ""

    def hook(self, place: str) -> None:
        """The same for the journal, whose places are many and named after statements and steps."""
        point = "effect" if place.startswith("run:") and place.endswith(".after") else _JOURNAL.get(place)
        if point is not None:
            self.hit(f"journal.{point}")


def _is_known(point: str, action: str) -> bool:
    is_step = STEPS.fullmatch(point) is not None
    is_known = point in POINTS or is_step or PHASES.fullmatch(point) is not None
    return is_known and (action in _ACTIONS or (is_step and action in _OF_STEPS))

"""The simulated cluster: boots, lets nodes join, installs what its tree wishes. Knows time, but no network.

Each change is kept on disk before it is told; what is told are messages for `tell`.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from . import grants, identity, memory, reports, troubles
from .description import Description
from .releases import Pace, Release, Releases, Wish, adopt, advance, next_moment, poke
from .tree import Pulled
from .workloads import Wished

BOOT = 3.0
JOIN = 2.0
"""Simulated seconds until the first server's API answers, and until a further node is ready, before scaling."""
REBOOT = 4.0
"""Simulated seconds until a node that restarts is ready again."""
UPGRADE = 5.0
"""Simulated seconds for another version of k3s on one node."""
STAGES = ((7, "enrol"), (10, "api"), (12, "cni"), (13, "flux"), (16, "marker"))
"""Stages of the first boot that are reported, with their numbers there."""

Tell = Callable[[reports.Report], None]


class Cluster:
    """State and rules of one simulated cluster."""

    def __init__(self, folder: Path, here: Description, clock: Callable[[], float]) -> None:
        self._file = folder / memory.FILE
        self._clock = clock
        self._memory = memory.load(self._file)
        self.here = here
        self.tell: Tell = silence
        """Where reports go; nothing is told while there is no line."""
        self._told_releases: Releases = self._memory.releases
        self._told_nodes: set[str] | None = None
        self._told_stages: set[str] = set()
        self._told_troubles = here.troubles
        self._told_all = False
        self._told_workloads = b""

    @property
    def pace(self) -> Pace:
        """How fast simulated time goes here."""
        return Pace(self.here.cluster, self.here.time_scale, self.here.troubles)

    @property
    def releases(self) -> Releases:
        """Releases by `{namespace}/{name}`."""
        return self._memory.releases

    @property
    def memory(self) -> memory.Memory:
        """What it remembers."""
        return self._memory

    @property
    def is_booted(self) -> bool:
        """Whether the first boot is over."""
        return 0 < self._memory.booted_at <= self._clock()

    @property
    def api_authority(self) -> str:
        """What a visitor checks the API's certificate by, PEM."""
        return identity.public_part(self._file.parent / identity.API)

    def ready_nodes(self) -> set[str]:
        """Ids of the nodes that joined."""
        now, boots = self._clock(), self._memory.boots
        joined = {id for id, at in self._memory.joined.items() if at <= now}
        return {id for id in joined if id not in boots or boots[id].ready_at <= now}

    def begin(self) -> None:
        """Start the first boot, once in the life of the cluster."""
        if not self._memory.booted_at:
            self._memory.booted_at = self._clock() + BOOT * self.here.time_scale
            self._save()

    def take_over(self, tree: Pulled) -> None:
        """Reconcile towards a tree."""
        now, m = self._clock(), self._memory
        m.releases = adopt(m.releases, tree.releases, now, self.pace)
        m.tree_commit = tree.commit
        if tree.k3s not in ("", m.k3s, m.k3s_next):
            # The first tree says what it was born with; every other version is put in place server by server.
            rest = UPGRADE * self.here.time_scale * len(self.here.nodes) if m.k3s else 0.0
            m.k3s_next, m.k3s_at = tree.k3s, now + rest
        if tree.claims != m.claims:
            m.claims = tree.claims
            self.tell(self._inventory(now))
        self._memory.observed_generation = self._memory.generation
        self._save()
        self.move()
        self.beat()

    def host(self, number: int, wished: Iterable[Wished], username: str, password: str) -> None:
        """Applications of Organizations that are to stand here from now on."""
        self._memory.workloads.take(number, wished, username, password)
        self._hosted()

    def pulled(self, one: Wished, wishes: Iterable[Wish], problem: str = "") -> None:
        """What a commit of an Application holds, or why it is not here."""
        self._memory.workloads.pulled(one, tuple(wishes), problem)
        self._hosted()

    def _hosted(self) -> None:
        hosted = self._memory.workloads
        hosted.releases = adopt(hosted.releases, hosted.wishes(), self._clock(), self.pace)
        self._save()
        self.move()

    def move(self) -> float | None:
        """Let happen what is due, and tell what changed. Seconds until the next change; None: none is due."""
        now = self._clock()
        self._admit_nodes(now)
        self._upgraded(now)
        if self.is_booted and not self._memory.suspended:
            self._memory.releases = advance(self._memory.releases, now, self.pace)
            self._advance_workloads(now)
        if self._memory.releases != self._told_releases:
            self._save()
            self._tell_changes()
        if self.here.troubles != self._told_troubles:
            self._told_troubles = self.here.troubles
            for release in self._memory.releases.values():
                self._tell_probe(release)
        self._tell_stages()
        self._tell_workloads()
        moments = [
            self._memory.booted_at,
            self._memory.k3s_at,
            *self._memory.joined.values(),
            *(boot.ready_at for boot in self._memory.boots.values()),
            next_moment(self._memory.releases) or 0.0,
            next_moment(self._memory.workloads.releases) or 0.0,
        ]
        return min((moment - now for moment in moments if moment > now), default=None)

    def poke(self, names: Iterable[str]) -> None:
        """Try stalled releases anew."""
        names, hosted = tuple(names), self._memory.workloads
        self._memory.releases = poke(self._memory.releases, names, self._clock())
        hosted.releases = poke(hosted.releases, names, self._clock())
        self.move()

    def suspend(self, suspended: bool) -> None:
        """Stop reconciling, or go on."""
        self._memory.suspended = suspended
        self._save()

    def close(self, node: str, *, is_closed: bool) -> None:
        """Let a node take no new pods, or take them again."""
        others = [one for one in self._memory.closed if one != node]
        self._memory.closed = [*others, node] if is_closed else others
        self._save()
        self.tell(self._inventory(self._clock()))

    def reboot(self, node: str, boot: str) -> str:
        """Let a node restart, unless another boot than its present one is meant; what became of it."""
        found = next((one for one in self.here.nodes if one.name == node), None)
        if found is None or reports.boot_of(found, self._memory.boots) != boot:
            return "another boot is meant; nothing is done (simulated)"
        before = self._memory.boots.get(found.id)
        ready_at = self._clock() + REBOOT * self.here.time_scale
        self._memory.boots[found.id] = memory.Boot((before.number if before else 0) + 1, ready_at)
        self._save()
        self.move()
        return "it restarts (simulated)"

    def expect(self, generation: int) -> None:
        """The tree that comes carries this generation."""
        self._memory.generation = generation
        self._save()

    def grant(self, name: str, role: str, seconds: float) -> tuple[str, float]:
        """Mint a token; it and its end. Only its digest is remembered."""
        token, now = f"sandbox_{secrets.token_urlsafe(24)}", self._clock()
        until = now + seconds
        self._memory.grants = grants.given(self._memory.grants, name, token, role, until, now)
        self._save()
        return token, until

    def revoke(self, name: str) -> None:
        """End a token before its time."""
        self._memory.grants = grants.ended(self._memory.grants, name)
        self._save()

    def did(self, command: int) -> None:
        """A command is done and won't be done again."""
        self._memory.last_command = command
        self._save()

    def tell_everything(self) -> None:
        """All that is so, for a line that has just come up."""
        self._told_stages.clear()
        self._tell_stages()
        self.beat()
        self.tell(self._inventory(self._clock()))
        self._told_workloads = b""
        self._tell_workloads()
        # Without a tree there is nothing to tell: an empty list would mean "there is none".
        self._told_all = bool(self._memory.tree_commit)
        if self._told_all:
            self.tell(reports.components(self._memory.releases.values(), full=True))
            for release in self._memory.releases.values():
                self._tell_probe(release)

    def beat(self) -> None:
        """Sign of life."""
        m = self._memory
        self.tell(
            reports.heartbeat(
                self.here,
                self.ready_nodes(),
                booted=self.is_booted,
                commit=m.tree_commit,
                applied=m.tree_commit,
                suspended=m.suspended,
                k3s=m.k3s or reports.K3S_VERSION,
            )
        )

    def warn(self, text: str) -> None:
        """Something that people should read."""
        self.tell(reports.line(text, self._clock()))

    def _admit_nodes(self, now: float) -> None:
        if not self.is_booted:
            return
        joined = self._memory.joined
        present = {node.id for node in self.here.nodes}
        for id in present - joined.keys():
            # The first server is the cluster; the others take their time to join.
            joined[id] = now if id == self.here.id else now + _share(id) * JOIN * self.pace.scale
        for id in joined.keys() - present:
            del joined[id]
            self._memory.boots.pop(id, None)
        if (ready := self.ready_nodes()) != self._told_nodes:
            self._told_nodes = ready
            self._save()
            self.tell(self._inventory(now))
            self.beat()

    def _upgraded(self, now: float) -> None:
        m = self._memory
        if m.k3s_next and m.k3s_at <= now:
            m.k3s, m.k3s_next, m.k3s_at = m.k3s_next, "", 0.0
            self._save()
            self.beat()

    def _inventory(self, now: float) -> reports.Report:
        m = self._memory
        return reports.inventory(self.here, m, self.ready_nodes(), now)

    def _advance_workloads(self, now: float) -> None:
        hosted = self._memory.workloads
        after = advance(hosted.releases, now, self.pace)
        if after != hosted.releases:
            hosted.settle(after)
            self._save()

    def _tell_workloads(self) -> None:
        """All of them, where anything is new; who was never told of any is silent."""
        hosted = self._memory.workloads
        if not hosted.command:
            return
        told = reports.workloads(hosted, self.here.troubles)
        if (plain := told.SerializeToString(deterministic=True)) != self._told_workloads:
            self._told_workloads = plain
            self.tell(told)

    def _tell_changes(self) -> None:
        before, after = self._told_releases, self._memory.releases
        self._told_releases = after
        changed = [release for key, release in after.items() if before.get(key) != release or not self._told_all]
        removed = [release.wish.name for key, release in before.items() if key not in after]
        self.tell(reports.components(changed, full=not self._told_all, removed=removed))
        self._told_all = True
        if spoken := [release for release in changed if release.condition("Ready")]:
            self.tell(reports.controllers(spoken, self._clock()))
        for release in changed:
            self._tell_probe(release)

    def _tell_probe(self, release: Release) -> None:
        if release.is_ready:
            self.tell(self.probe(release.wish.name, "ready"))

    def probe(self, component: str, slug: str, *, command: int = 0) -> reports.Report:
        """Whether a component serves, as a probe would find; without a name, the whole cluster."""
        fails = [
            release.wish.name
            for release in self._memory.releases.values()
            if troubles.first(self.here.troubles, ("fail_probe",), release.wish.name, release.met)
        ]
        return reports.probe(component, self._memory.releases, slug=slug, command=command, fails=fails)

    def _tell_stages(self) -> None:
        for number, slug in STAGES if self.is_booted else STAGES[:1]:
            if slug not in self._told_stages:
                self._told_stages.add(slug)
                self.tell(reports.stage(number, slug))

    def _save(self) -> None:
        memory.save(self._file, self._memory)


def silence(report: reports.Report) -> None:
    """Tell nobody."""


def _share(seed: str) -> float:
    """A fraction between 0.5 and 1 that is always the same for `seed`."""
    return 0.5 + hashlib.sha256(seed.encode()).digest()[0] / 512

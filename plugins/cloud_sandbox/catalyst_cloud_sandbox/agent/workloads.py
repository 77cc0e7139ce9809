"""Applications of Organizations on a simulated cluster, beside what its own tree holds. Pure but for the files that it is given.

Invariants
  exact   a release is of the commit that is wished, or of the last one that could be taken over;
  apart   each Environment has a namespace of its own, whatever its files say;
  left    what is to be left as it is changes neither by a commit nor by an end of its files.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from catalyst.provisioner.v1 import resources_pb2

from .releases import Releases, Wish


@dataclass(frozen=True, slots=True)
class Wished:
    """One that is to stand here."""

    application: str
    uid: str
    url: str
    branch: str
    commit: str
    is_left: bool = False
    is_stopped: bool = False

    @property
    def environment(self) -> str:
        """Its Environment, which is its namespace here."""
        return self.application.split("/")[1]


@dataclass(frozen=True, slots=True)
class Held:
    """What was taken over of one."""

    uid: str
    commit: str = ""
    wishes: tuple[Wish, ...] = ()
    problem: str = ""


@dataclass(slots=True)
class Workloads:
    """All of them."""

    command: int = 0
    """Number of the command that told what is wished."""
    username: str = ""
    password: str = field(default="", repr=False)
    wished: tuple[Wished, ...] = ()
    held: dict[str, Held] = field(default_factory=dict)
    """By application."""
    gone: dict[str, str] = field(default_factory=dict)
    """Life of what is wished no more and not gone yet, by application."""
    releases: Releases = field(default_factory=dict)

    def to_pull(self) -> list[Wished]:
        """Those whose commit is not here."""
        return [one for one in self.wished if not one.is_left and self._held(one).commit != one.commit]

    def take(self, number: int, wished: Iterable[Wished], username: str, password: str) -> None:
        """Another list."""
        self.command, self.username, self.password = number, username, password
        before = {one.application: one.uid for one in self.wished}
        self.wished = tuple(sorted(wished, key=lambda one: one.application))
        known = {one.application for one in self.wished}
        self.gone = {name: uid for name, uid in (self.gone | before).items() if name not in known}
        self.held = {name: one for name, one in self.held.items() if name in known}

    def pulled(self, one: Wished, wishes: Sequence[Wish], problem: str = "") -> None:
        """What a commit holds; with a problem what was held before stays. What is not wished so any more changes nothing."""
        if one not in self.wished:
            return
        before = self._held(one)
        self.held[one.application] = (
            replace(before, problem=problem) if problem else Held(one.uid, one.commit, tuple(wishes))
        )

    def settle(self, releases: Releases) -> None:
        """What has become of them; whoever is not there any more has gone."""
        self.releases = releases
        self.gone = {name: uid for name, uid in self.gone.items() if key(name) in releases}

    def wishes(self) -> list[Wish]:
        """Every release that is to be here."""
        return [
            replace(wish, stopped=one.is_stopped) for one in self.wished for wish in self._held(one).wishes
        ]  # fmt: skip - one comprehension

    def here(self) -> dict[str, str]:
        """Life of each that is wished or not gone yet, by application."""
        going = {name: uid for name, uid in self.gone.items() if key(name) in self.releases}
        return {one.application: one.uid for one in self.wished} | going

    def _held(self, one: Wished) -> Held:
        held = self.held.get(one.application)
        return held if held is not None and held.uid == one.uid else Held(one.uid)


def key(application: str) -> str:
    """Of its release."""
    _, environment, _, id = application.split("/")
    return f"{environment}/{id}"


def wished(told: Iterable[resources_pb2.Workload]) -> list[Wished]:
    """What a command names."""
    kinds = resources_pb2.Workload
    return [
        Wished(
            one.application, one.uid, one.url, one.branch, one.commit,
            is_left=one.mode == kinds.MODE_LEAVE, is_stopped=one.mode == kinds.MODE_STOP,
        )
        for one in told
    ]  # fmt: skip


def restored(raw: Mapping[str, object], releases: Releases) -> Workloads:
    """What was kept."""
    values: dict[str, object] = {**raw, "releases": releases}
    values["wished"] = tuple(Wished(**one) for one in raw["wished"])  # type: ignore[attr-defined]  # our own file
    values["held"] = {
        name: Held(**{**one, "wishes": tuple(_wish(wish) for wish in one["wishes"])})
        for name, one in raw["held"].items()  # type: ignore[attr-defined]  # as above
    }
    return Workloads(**values)  # type: ignore[arg-type]  # as above


def _wish(raw: Mapping[str, object]) -> Wish:
    return Wish(**{**raw, "depends_on": tuple(raw["depends_on"])})  # type: ignore[arg-type]  # as above

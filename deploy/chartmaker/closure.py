"""What one daemon needs and nothing else: its own distributions, and the lines of the lock for the rest."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PLUGINS: Mapping[str, Sequence[str]] = {
    "billing": ("payment",),
    "catalog": ("source",),
    "continuum": ("witness", "promoter"),
    "pool_domain_manager": ("registrar", "dns"),
    "provisioner": ("cloud",),
}
"""Which plugins an image brings along, by the first word of their folders."""


@dataclass(frozen=True, slots=True)
class Closure:
    """Of one daemon."""

    own: Sequence[Path]
    """Folders of our distributions, what others need first."""
    locked: Sequence[str]
    """Lines of the lock, with their hashes."""


def closure(daemon: str) -> Closure:
    """Of the daemon in `services/<daemon>` with the plugins of its kinds, for this Python and platform.

    Raises FileNotFoundError where there is no such daemon, LookupError for a requirement that the lock does not hold.
    """
    members = _members()
    plugins = [
        path.name
        for kind in PLUGINS.get(daemon, ())
        for path in sorted((ROOT / "plugins").glob(f"{kind}_*"))
        if (path / "pyproject.toml").exists()
    ]
    wanted = [f"catalyst-{name.replace('_', '-')}" for name in (daemon, *plugins)]
    if wanted[0] not in members:
        raise FileNotFoundError(f"services/{daemon}")
    seen: dict[str, set[str]] = {}
    for name in wanted:
        _walk(Requirement(name), members, seen)
    locked = _locked()
    third = sorted(name for name in seen if name not in members)
    if missing := [name for name in third if name not in locked]:
        raise LookupError(f"requirements.lock does not hold {', '.join(missing)}")
    return Closure([members[name] for name in seen if name in members], [locked[name] for name in third])


def _members() -> Mapping[str, Path]:
    projects = [
        *ROOT.glob("lib/*/pyproject.toml"),
        *ROOT.glob("services/*/pyproject.toml"),
        *ROOT.glob("plugins/*/pyproject.toml"),
    ]
    return {str(tomllib.loads(path.read_text())["project"]["name"]): path.parent for path in sorted(projects)}


def _walk(wish: Requirement, members: Mapping[str, Path], seen: dict[str, set[str]]) -> None:
    """Everything that `wish` needs, as the metadata of what is installed says."""
    name = canonicalize_name(wish.name)
    known = seen.get(name)
    if known is not None and wish.extras <= known:
        return
    seen[name] = (known or set()) | wish.extras
    for need in _needs(name, members):
        if any(need.marker is None or need.marker.evaluate({"extra": extra}) for extra in {"", *seen[name]}):
            _walk(need, members, seen)


def _needs(name: str, members: Mapping[str, Path]) -> Iterator[Requirement]:
    if folder := members.get(name):  # its project file: what is installed may be older
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        yield from map(Requirement, project.get("dependencies", []))
        for extra, needs in project.get("optional-dependencies", {}).items():
            yield from (Requirement(f"{need}; extra == '{extra}'") for need in needs)
    else:
        yield from map(Requirement, distribution(name).requires or [])


def _locked() -> Mapping[str, str]:
    """Each entry of the lock with its hashes, by name."""
    entries = re.split(r"\n(?=[a-zA-Z0-9])", (ROOT / "requirements.lock").read_text())
    return {canonicalize_name(re.split(r"[=\[ ]", entry, maxsplit=1)[0]): entry for entry in entries if "==" in entry}

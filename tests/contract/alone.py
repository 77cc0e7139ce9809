"""What each distribution imports, against what it declares: whether it could be installed by itself.

Worked out from the sources and the metadata of what is installed, because an environment for each of them would take longer
than all other tests. What is installed beside it, a test or a neighbour in this workspace, is thereby no help.
"""

import ast
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .contracts import ROOT

WORKSPACE = ("lib", "services", "plugins")


@dataclass(frozen=True, slots=True)
class Member:
    """One distribution of this repository."""

    name: str
    folder: Path
    declared: tuple[str, ...]
    extras: Mapping[str, Sequence[str]]
    """What is declared besides, for whoever asks for it by name: `catalyst-sdk[http]`."""
    entry_points: tuple[str, ...]
    """Modules that others load by name: plugins, fixtures, commands."""

    @property
    def packages(self) -> set[str]:
        """Names that it brings, such as `catalyst_billing`."""
        return {path.name for path in self.folder.iterdir() if path.name.isidentifier() and path.name != "tests"}


@dataclass(frozen=True, order=True, slots=True)
class Import:
    """One import of a member."""

    where: str
    module: str


@cache
def members() -> dict[str, Member]:
    """Every distribution of the workspace, by its name."""
    folders = [folder for kind in WORKSPACE for folder in sorted((ROOT / kind).iterdir())] + [ROOT / "cli"]
    found = (_member(folder) for folder in folders if (folder / "pyproject.toml").exists())
    return {member.name: member for member in found}


def _member(folder: Path) -> Member:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    groups = [*project.get("entry-points", {}).values(), project.get("scripts", {})]
    loaded = tuple(value.partition(":")[0] for group in groups for value in group.values())
    extras = project.get("optional-dependencies", {})
    return Member(canonicalize_name(project["name"]), folder, tuple(project.get("dependencies", ())), extras, loaded)


def imports(member: Member) -> set[Import]:
    """What its code imports, wherever in a module; what is only for type checkers is not."""
    found = set()
    for file in sorted(member.folder.glob("*/**/*.py")):
        if file.relative_to(member.folder).parts[0] in member.packages:
            where = file.relative_to(ROOT).as_posix()
            found |= {Import(where, module) for module in _imported(ast.parse(file.read_text()))}
    return found


def _imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and not child.level and child.module:
            yield child.module
        yield from _imported(child)


def reachable(member: Member, *extras: str) -> set[str]:
    """What an installer brings with it: declared, and declared by what is declared."""
    found = {member.name}
    wanted = [Requirement(text) for part in (member.declared, *(member.extras[e] for e in extras)) for text in part]
    while wanted:
        one = wanted.pop()
        name, extras = canonicalize_name(one.name), one.extras
        if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        key = f"{name}[{','.join(sorted(extras))}]"
        if key not in found:
            found |= {key, name}
            wanted += _required(name, extras)
    return found


def _required(name: str, extras: Collection[str]) -> list[Requirement]:
    if member := members().get(name):
        parts = (member.declared, *(member.extras.get(extra, ()) for extra in extras))
        return [Requirement(text) for part in parts for text in part]
    known = _installed().get(name)
    every = (Requirement(text) for text in (known.requires if known else None) or ())
    return [r for r in every if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in ("", *extras))]


@cache
def _installed() -> dict[str, Distribution]:
    return {canonicalize_name(d.metadata["Name"]): d for d in distributions()}


@cache
def _homes() -> dict[str, set[str]]:
    """Distributions by the modules that they bring; of packages without `__init__` several share a name."""
    found: dict[str, set[str]] = {}
    for name, installed in _installed().items():
        for file in installed.files or ():
            if file.suffix in (".py", ".so") and ".." not in file.parts:
                parts = [*file.parts[:-1], file.name.split(".")[0]]
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                for length in range(1, len(parts) + 1):
                    found.setdefault(".".join(parts[:length]), set()).add(name)
    for member in members().values():
        for package in member.packages:
            found[package] = {member.name}
    return found


def home(module: str) -> set[str]:
    """Who brings a module; empty for Python itself and what nobody brings."""
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return set()
    for length in range(len(parts), 0, -1):
        if owners := _homes().get(".".join(parts[:length])):
            return owners
    return {f"nobody, for there is no {module}"}


def missing(member: Member) -> list[str]:
    """Imports that would fail where the distribution stands alone.

    Its own extras are there for those of its modules that need one; who uses such a module of another has to ask for them.
    """
    there = reachable(member, *member.extras)
    return [
        f"{one.where}: {module} comes from {' or '.join(sorted(homes))}"
        for one in sorted(imports(member))
        for module in (one.module, *_imported_by(one.module))
        if (homes := home(module)) and not homes & there
    ]


@cache
def _imported_by(module: str) -> tuple[str, ...]:
    """What a module of this workspace imports in turn."""
    owner = next((m for m in members().values() if module.split(".")[0] in m.packages - {"catalyst"}), None)
    if owner is None:
        return ()
    file = owner.folder.joinpath(*module.split(".")).with_suffix(".py")
    return tuple(_imported(ast.parse(file.read_text()))) if file.exists() else ()

"""Whether a daemon's revisions may be released: `script/migration --check`, and a test.

Invariants
  written once  a revision that was committed before is never edited;
  additive      a revision takes nothing away, renames nothing and demands nothing new: the release before runs on its schema.
                One whose docstring begins with `contract:` may take away what no release needs any more;
  equal         the schema of the commit before, brought forward by what is new, is what the tables of the code say.
"""

import ast
import importlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from catalyst_mesh import Database, migrate
from catalyst_mesh.migrations import _run
from sqlalchemy import Connection, MetaData

TAKES_AWAY = {"drop_column", "drop_table", "drop_constraint", "rename_table", "alter_column"}
"""Operations of Alembic by which a schema loses or changes what the release before uses."""


def packages(root: Path) -> list[str]:
    """Daemons that have revisions."""
    return sorted(path.parents[1].name for path in root.glob("services/*/catalyst_*/migrations/versions"))


def before(root: Path) -> str:
    """What to compare with: the last release, or where there is none the commit before; empty outside of a repository."""
    for question in (["describe", "--tags", "--abbrev=0"], ["rev-parse", "HEAD~1"], ["rev-parse", "HEAD"]):
        if answer := _git(root, *question):
            return answer.decode().strip()
    return ""


def committed(root: Path, package: str, ref: str) -> dict[str, bytes]:
    """Revisions at `ref`, by their file names."""
    folder = _folder(root, package).relative_to(root).as_posix()
    names = (_git(root, "ls-tree", "--name-only", ref, f"{folder}/") or b"").decode().split()
    return {Path(n).name: _git(root, "show", f"{ref}:{n}") or b"" for n in names if n.endswith(".py")}


def faults(root: Path, package: str, old: dict[str, bytes]) -> list[str]:
    """What stands against the revisions as they are written, each with the name of its file."""
    files = {file.name: file for file in sorted(_folder(root, package).glob("[0-9]*.py"))}
    found = [f"{package}: {name} was committed before and is gone" for name in sorted(set(old) - set(files))]
    found += [
        f"{package}: {name} was committed before and is edited; write a new one"
        for name in sorted(set(old) & set(files))
        if files[name].read_bytes() != old[name]
    ]
    found += _forks(package, files)
    for name in sorted(set(files) - set(old)):
        found += [f"{package}: {name} {why}" for why in narrowing(files[name].read_text())]
    return found


def narrowing(source: str) -> Iterator[str]:
    """What a revision does that the release before would not survive."""
    tree = ast.parse(source)
    if (ast.get_docstring(tree) or "").startswith("contract:"):
        return
    upgrade = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "upgrade")
    for call in (node for node in ast.walk(upgrade) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name in TAKES_AWAY:
            yield f"line {call.lineno}: {name} takes away or changes what the release before uses"
        if name == "add_column":
            yield from _demanded(call)


async def differences(db: Database, package: str, old: dict[str, bytes]) -> list[str]:
    """What the schema of `old`, brought forward, has more or less than the tables of the code. `db` is empty."""
    metadata: MetaData = importlib.import_module(f"{package}.store").metadata
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder) / "versions"
        versions.mkdir()
        for name, content in old.items():
            (versions / name).write_bytes(content)
        if old:
            async with db.begin() as sql:
                await sql.run_sync(lambda connection: _run(connection, Path(folder), metadata, "head"))
    # By revisions in any case: where there were none before, the database is empty, and would get the tables as they are.
    await migrate(db, package, metadata, max(_numbers(package)))

    async with db.begin() as sql:
        return [f"{package}: {difference}" for difference in await sql.run_sync(compared, metadata)]


def compared(connection: Connection, metadata: MetaData) -> list[Any]:
    """What the database has more or less than `metadata` makes there; what is for another kind of database is left out."""

    def is_for_it(thing: Any, _name: str | None, _kind: str, _is_there: bool, _other: Any) -> bool:
        only = getattr(thing, "_ddl_if", None)
        return only is None or only.dialect == connection.dialect.name

    opts = {"compare_type": True, "include_object": is_for_it}
    return list(compare_metadata(MigrationContext.configure(connection, opts=opts), metadata))


def _numbers(package: str) -> Iterator[str]:
    versions = Path(str(importlib.import_module(package).__file__)).parent / "migrations" / "versions"
    return (file.stem.split("_")[0] for file in versions.glob("[0-9]*.py"))


def _folder(root: Path, package: str) -> Path:
    return next(root.glob(f"services/*/{package}/migrations/versions"))


def _forks(package: str, files: dict[str, Path]) -> Iterator[str]:
    """Revisions that do not follow the one before them by number."""
    last: str | None = None
    for name, file in files.items():
        said = dict(filter(None, map(_assigned, ast.parse(file.read_text()).body)))
        if (said.get("revision"), said.get("down_revision")) != (name.split("_")[0], last):
            yield f"{package}: {name} is not revision {name.split('_')[0]} behind {last}"
        last = name.split("_")[0]


def _assigned(node: ast.stmt) -> tuple[str, Any] | None:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant):
        return node.targets[0].id, node.value.value
    return None


def _demanded(call: ast.Call) -> Iterator[str]:
    """A column that the release before does not fill."""
    for column in (arg for arg in call.args if isinstance(arg, ast.Call)):
        given = {keyword.arg: keyword.value for keyword in column.keywords}
        nullable = given.get("nullable")
        if isinstance(nullable, ast.Constant) and nullable.value is False and "server_default" not in given:
            name = ast.unparse(column.args[0]) if column.args else "a column"
            yield f"line {call.lineno}: {name} is NOT NULL without a default, and the release before does not fill it"


def _git(root: Path, *words: str) -> bytes | None:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None

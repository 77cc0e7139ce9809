"""For authors of Blueprints, without a server: `python -m catalyst_catalog.authoring lint|graph|new|import|schema`.

The command line of Catalyst calls it; it says on stdout what was asked for, and exits with 0 clean, 1 findings, 2 usage.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .domain import documents, importer
from .domain.closure import waves
from .domain.importer import PREFIX
from .domain.inspection import FILE, Rejected, inspect
from .domain.linting import WARNING, Found, lint
from .domain.manifest import Manifest
from .domain.mending import mended
from .domain.refusals import DependencyCycle

NAME = re.compile(r"[a-z][a-z0-9-]{0,60}[a-z0-9]")
_SKELETON = """\
apiVersion: catalyst.openova.io/v1
kind: Blueprint
metadata:
  name: bp-{name}
spec:
  version: 0.1.0
  layer: application
  card:
    title: {title}
    tagline: One line about what it is for
  visibility: unlisted
  configSchema:
    type: object
    properties:
      replicas:
        type: integer
        minimum: 1
        default: 1
  depends: []
  manifests:
    source:
      kind: HelmChart
      ref: {name}
    upstream:
      - chart: {name}
        version: 0.1.0
        repo: https://charts.example.org/{name}
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; what it answers is the exit code."""
    asked = _parser().parse_args(words)
    try:
        return int(asked.run(asked))
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror))
        return 2


def schema() -> dict[str, Any]:
    """The JSON Schema of `blueprint.yaml`, made from the model by which the catalogue takes it."""
    made = Manifest.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:catalyst:blueprint:v1", **made}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="catalyst blueprint")
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("lint")
    one.add_argument("paths", nargs="+", type=Path)
    one.add_argument("--format", choices=("text", "json", "sarif"), default="text")
    one.add_argument("--strict", action="store_true")
    one.add_argument("--fix", action="store_true")
    one.set_defaults(run=_lint)
    one = commands.add_parser("graph")
    one.add_argument("paths", nargs="+", type=Path)
    one.add_argument("--against", type=Path)
    one.set_defaults(run=_graph)
    one = commands.add_parser("new")
    one.add_argument("name")
    one.add_argument("--into", type=Path, default=Path())
    one.set_defaults(run=_new)
    one = commands.add_parser("import")
    one.add_argument("paths", nargs="+", type=Path)
    one.add_argument("--write", action="store_true")
    one.set_defaults(run=_import)
    one = commands.add_parser("schema")
    one.set_defaults(run=_schema)
    return parser


def _lint(asked: argparse.Namespace) -> int:
    homes = _homes(asked.paths)
    places = {home.name: home for home in homes}
    folders = {home.name: _files(home) for home in homes}
    found = lint(folders)
    # What one thing hid is seen when that is mended, so it is mended until nothing is left that can be.
    while asked.fix and (new := mended(folders, found)):
        for folder, content in new.items():
            (places[folder] / FILE).write_bytes(content)
            folders[folder][FILE] = content
        found = lint(folders)
    _FORMS[asked.format](found, places)
    return int(any(asked.strict or one.level != WARNING for one in found))


def _graph(asked: argparse.Namespace) -> int:
    """Print the waves of installation; against a declared order, what differs from it."""
    needs = {}
    for home in _homes(asked.paths):
        try:
            found = inspect(home.name, _files(home)).manifest
        except Rejected as rejected:
            _complain(f"{home / FILE}: {rejected}")
            return 1
        needs[found.name] = [edge.blueprint for edge in found.spec.depends]
    try:
        order = waves(needs)
    except DependencyCycle as circle:
        _complain(circle.sentence)
        return 1
    for number, wave in enumerate(order, 1):
        _say(f"{number}: {' '.join(wave)}")
    drift = list(_drift(needs, asked.against.read_text())) if asked.against else []
    for sentence in drift:
        _complain(sentence)
    return int(bool(drift))


def _drift(needs: Mapping[str, Iterable[str]], text: str) -> Iterator[str]:
    """What differs between these Blueprints and an order that somebody declared: names in their order, `#` for remarks."""
    words = [word for line in text.splitlines() for word in line.partition("#")[0].split()]
    named = [word if word.startswith(PREFIX) else f"{PREFIX}{word}" for word in words]
    places = {name: place for place, name in enumerate(named)}
    yield from (f"{name} is not in the declared order" for name in sorted(set(needs) - set(places)))
    yield from (f"{name} is declared and not there" for name in sorted(set(places) - set(needs)))
    yield from (f"{name} is declared twice" for name in sorted(places) if named.count(name) > 1)
    for name in sorted(set(needs) & set(places), key=lambda n: places[n]):
        late = sorted(need for need in needs[name] if places.get(need, -1) > places[name])
        yield from (f"{name} comes before {need}, which it needs" for need in late)


def _new(asked: argparse.Namespace) -> int:
    home = asked.into / asked.name
    if not NAME.fullmatch(asked.name):
        _complain(f"{asked.name} is no name: small letters, digits and hyphens, a letter first")
        return 2
    if home.exists():
        _complain(f"{home} is there already")
        return 2
    home.mkdir(parents=True)
    title = asked.name.replace("-", " ").title()
    (home / FILE).write_text(_SKELETON.format(name=asked.name, title=title))
    (home / "README.md").write_text(f"# {title}\n")
    _say(home / FILE)
    return 0


def _import(asked: argparse.Namespace) -> int:
    """Tell, and with `--write` make, the changes by which older shapes become the present one."""
    failed = 0
    for home in _homes(asked.paths):
        file = home / FILE
        try:
            document, changes = importer.normalise(documents.read(file.read_bytes()))
        except (documents.Unreadable, importer.UnknownShape) as error:
            _complain(f"{file}: {error}")
            failed = 1
            continue
        for change in changes:
            _say(f"{file}: {change.path}: {json.dumps(change.before)} -> {json.dumps(change.after)} ({change.rule})")
        if changes and asked.write:
            file.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return failed


def _schema(_: argparse.Namespace) -> int:
    _say(json.dumps(schema(), indent=2, sort_keys=True))
    return 0


def _say(text: object) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _homes(paths: Iterable[Path]) -> list[Path]:
    """Folders with a manifest: those that were named, or those inside of them."""
    homes: list[Path] = []
    for path in paths:
        place = path.resolve(strict=True)
        inner = sorted(file.parent for file in place.glob(f"*/{FILE}")) if place.is_dir() else []
        homes += [place] if (place / FILE).exists() or not inner else inner
    return homes


def _files(home: Path) -> dict[str, bytes]:
    every = (path for path in sorted(home.rglob("*")) if path.is_file())
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in every}


def _as_text(found: Sequence[Found], places: dict[str, Path]) -> None:
    for one in found:
        fix = f" ({one.fix})" if one.fix else ""
        _say(f"{places[one.folder] / FILE}:{one.line}:{one.column}: {one.level} {one.rule}: {one.message}{fix}")


def _as_json(found: Sequence[Found], places: dict[str, Path]) -> None:
    rows = [
        {
            "rule": one.rule,
            "level": one.level,
            "file": str(places[one.folder] / FILE),
            "line": one.line,
            "column": one.column,
            "field": one.field,
            "message": one.message,
            "fix": one.fix,
        }
        for one in found
    ]  # fmt: skip - one list
    _say(json.dumps({"findings": rows}, indent=1))


def _as_sarif(found: Sequence[Found], places: dict[str, Path]) -> None:
    results = [
        {
            "ruleId": one.rule,
            "level": one.level,
            "message": {"text": f"{one.message} ({one.fix})" if one.fix else one.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": (places[one.folder] / FILE).as_uri()},
                        "region": {"startLine": one.line, "startColumn": one.column},
                    }
                }
            ],
        }
        for one in found
    ]  # fmt: skip - one list
    rules = [{"id": rule} for rule in sorted({one.rule for one in found})]
    driver = {"name": "catalyst-blueprint-lint", "rules": rules}
    _say(json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}, indent=1))


_FORMS = {"text": _as_text, "json": _as_json, "sarif": _as_sarif}

if __name__ == "__main__":
    sys.exit(main())

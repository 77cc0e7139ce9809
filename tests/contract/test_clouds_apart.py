"""A cloud is known to its plugin alone: nothing else in the house speaks of one by name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from catalyst_sdk import load_manifest

from .contracts import ROOT

HETZNER = re.compile(r"hetzner|\bhcloud|hzcloud", re.IGNORECASE)
"""What the one real cloud is called in code; the simulated one has switches in `catalyst dev`."""
PLACES = ("lib/agent", "lib/kube", "lib/sdk", "lib/mesh", "lib/testkit", "services", "cli", "plugins")
NOT_CLOUDS = {
    "lib/kube/catalyst_kube/kinds/provisioning_state.py": "fields of an object whose schema is not ours to change",
    "services/pool_domain_manager/catalyst_pool_domain_manager/domain/identity.py": "whose name servers a domain has",
}


def sources() -> Iterator[Path]:
    """Our code but for the cloud's own plugin, tests and what is generated."""
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*.py")):
            inside = path.relative_to(ROOT)
            if "cloud_hetzner" not in inside.parts and "tests" not in inside.parts and str(inside) not in NOT_CLOUDS:
                yield path


def words(path: Path) -> Iterator[str]:
    """Names and texts of a module, without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.name for alias in node.names)
            yield getattr(node, "module", "") or ""


def test_no_code_outside_of_its_plugin_names_hetzner() -> None:
    named = [path for path in sources() if HETZNER.search(path.read_text(encoding="utf-8"))]
    found = {str(path.relative_to(ROOT)): [word for word in words(path) if HETZNER.search(word)] for path in named}
    assert {path: said for path, said in found.items() if said} == {}


def test_the_page_of_clouds_says_what_the_plugins_say_of_themselves() -> None:
    text = (ROOT / "docs" / "reference" / "clouds.md").read_text()
    rows = {}
    for line in text.split("\n\n## ")[0].splitlines():
        if name := re.match(r"\| \[`(\w+)`\]", line):
            cells = line.strip("|").split("|")
            codes, capabilities = re.findall(r"`(\w+)`", cells[1]), re.findall(r"`(\w+)`", cells[3])
            rows[name[1]] = (codes, set(capabilities))
    manifests = [load_manifest(path) for path in ROOT.glob("plugins/cloud_*/catalyst_*/manifest.toml")]
    naming = {one.name: [one.extra["naming"]["code"], one.extra["naming"]["letter"]] for one in manifests}
    assert rows == {one.name: (naming[one.name], set(one.capabilities)) for one in manifests}

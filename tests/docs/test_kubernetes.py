"""Pages about Kubernetes: what they name is there."""

import re
from pathlib import Path

import yaml

from .test_readme import commands

PAGES = [
    Path("docs/how-to/install-on-kubernetes.md"),
    Path("docs/how-to/wish-by-objects.md"),
    *sorted(Path("docs/runbooks/kubernetes").glob("*.md")),
]


def test_every_task_has_its_page() -> None:
    assert {path.stem for path in PAGES} == {
        "install-on-kubernetes",
        "wish-by-objects",
        "upgrade",
        "backup-and-restore",
        "rotate",
        "decommission",
    }  # fmt: skip - a list


def test_files_and_links_that_a_page_names_are_there() -> None:
    for page in PAGES:
        text = page.read_text()
        named = [Path(found) for found in re.findall(r"`((?:deploy|script|tests|docs)/[\w./-]+)", text)]
        linked = [page.parent / found for found in re.findall(r"\]\(([\w./-]+\.md)\)", text)]
        assert [path for path in (*named, *linked) if not path.exists()] == [], page


def test_commands_that_a_page_names_are_there() -> None:
    known = {" ".join(path) for path in commands()}
    for page in PAGES:
        for found in re.findall(r"`catalyst ([a-z-]+(?: [a-z-]+)*)", page.read_text()):
            words = found.split()
            assert any(" ".join(words[:n]) in known for n in range(1, len(words) + 1)), f"{page}: catalyst {found}"


def test_values_that_a_page_names_are_there() -> None:
    chart = Path("deploy/helm/catalyst")
    values = yaml.safe_load((chart / "values.yaml").read_text())
    for path in chart.glob("charts/*/values.yaml"):  # of the bundled servers
        values[path.parent.name] = {**yaml.safe_load(path.read_text()), **values[path.parent.name]}
    for page in PAGES:
        for found in re.findall(r"(?:--set |`)([a-z][A-Za-z]+(?:\.[a-zA-Z]+)+)(?:=|`)", page.read_text()):
            if found.split(".")[0] in values:
                here = values
                for word in found.split("."):
                    assert word in here, f"{page}: {found}"
                    here = here[word]

"""Plugins that strangers begin and check: what is made works as it is, and what is wrong is found and named."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from catalyst_cli.failures import Failure
from catalyst_cli.findings import Finding
from catalyst_cli.plugin_checks import check
from catalyst_cli.scaffolding import PACKAGES, Scaffold

Spoil = Callable[[Path], None]


def command(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "catalyst_cli", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def replaced(path: str, old: str, new: str) -> Spoil:
    def spoil(home: Path) -> None:
        text = (home / path).read_text()
        assert old in text
        (home / path).write_text(text.replace(old, new))

    return spoil


@pytest.mark.parametrize("kind", PACKAGES)
@pytest.mark.parametrize("name", ["acme", "blue_sky"])
def test_a_new_plugin_is_eight_files_in_the_form_that_ours_have(kind: str, name: str, tmp_path: Path) -> None:
    home = Scaffold(kind, name).write(tmp_path)
    made = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    assert len(made) == 8
    texts = [(home / path).read_text() for path in made]
    assert name == "acme" or not any("acme" in text.lower() for text in texts)
    for words in (("check",), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--isolated", "--line-length=120", str(home)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or name != "acme", done.stdout  # lines of a longer name break elsewhere


SHORT = ["cloud_provider", "payment_provider", "lease_witness"]
"""Beside the registrar, which the tutorial makes."""
LATE = ["dns_backend", "blueprint_source", "database_promoter", "safety_check", "fencer", "traffic"]
KINDS = [*SHORT, *LATE] if os.environ.get("HYPOTHESIS_PROFILE") == "long" else SHORT


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_passes_its_check_before_any_edit(kind: str, tmp_path: Path) -> None:
    made = command("plugin", "new", kind, "acme", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    done = command("plugins", "check", made.stdout.strip(), "--output", "json", cwd=tmp_path)
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == 0, findings
    assert [f["check"] for f in findings] == ["distribution", "manifest", "import", "conformance", "secrets"], findings
    assert {f["status"] for f in findings} == {"ok"}


@pytest.mark.parametrize(
    ("kind", "name"), [("registrar", "Acme"), ("registrar", "a-b"), ("registrar", ""), ("cloud", "a")]
)
def test_what_cannot_be_made_is_told_in_a_sentence_and_nothing_is_written(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(Failure) as refused:
        Scaffold(kind, name).write(tmp_path)
    assert (refused.value.exit_code, bool(refused.value.next_step)) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    scaffold = Scaffold("registrar", "acme")
    scaffold.write(tmp_path)
    with pytest.raises(Failure, match="there already"):
        scaffold.write(tmp_path)


MANIFEST = "catalyst_registrar_acme/manifest.toml"
PLUGIN = "catalyst_registrar_acme/plugin.py"
WRONG: dict[str, tuple[Spoil, str, str]] = {
    "no such kind": (replaced(MANIFEST, '"registrar"', '"registrer"'), "manifest", "registrer"),
    "a capability that nobody knows": (replaced(MANIFEST, '"set_ns"', '"set_names"'), "manifest", "set_names"),
    "another version of the contracts": (replaced(MANIFEST, ">=1,<2", ">=7"), "manifest", "version 1"),
    "no page": (replaced(MANIFEST, "README.md", "PAGE.md"), "manifest", "PAGE.md"),
    "a secret that is not marked": (replaced(MANIFEST, "x-secret = true\n", ""), "secrets", "credential.properties.token"),
    "a module that does not load": (replaced(PLUGIN, "PROVIDER = ", "PROVIDER = nothing + "), "import", "NameError"),
    "a misspelt hook": (replaced(PLUGIN, "def catalyst_plugin", "def catalyst_plugins"), "import", "catalyst_plugins"),
    "two entry points": (
        replaced("pyproject.toml", "registrar_acme = ", 'other = "other.plugin"\nregistrar_acme = '),
        "distribution", "2 entry points",
    ),
    "a suite that is not run": (
        replaced("tests/test_acme.py", "class TestConformance", "class Unheard"), "conformance", "0 tests of Registrar"
    ),
    "tests that cannot be read": (
        replaced("tests/test_acme.py", "import pytest", "import pytest, nothing_of_that_name"),
        "conformance", "nothing_of_that_name",
    ),
}  # fmt: skip


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A registrar's plugin whose tests are one, so that a check does not take long."""
    home = Scaffold("registrar", "acme").write(tmp_path)
    path = home / "pyproject.toml"
    path.write_text(path.read_text() + 'addopts = "-k declares"\n')
    return home


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_plugin_is_found_and_named_with_a_remedy(what: str, quick: Path) -> None:
    spoil, where, word = WRONG[what]
    spoil(quick)
    found = [f for f in check(quick) if f.status == "failed" and f.check == where]
    assert any(word in f.message for f in found), found
    assert all(f.remedy for f in found)


def test_everything_cheap_is_told_at_once_and_the_suite_waits_for_it(quick: Path) -> None:
    for what in ("no page", "a secret that is not marked", "a module that does not load"):
        WRONG[what][0](quick)
    found = check(quick)
    assert {f.check for f in found if f.status == "failed"} == {"manifest", "secrets", "import"}
    assert [f.check for f in found if f.status == "skipped"] == ["conformance"]


def test_a_folder_that_is_no_distribution_is_one_finding(tmp_path: Path) -> None:
    (finding,) = check(tmp_path)
    assert isinstance(finding, Finding)
    assert (finding.check, finding.status) == ("distribution", "failed")

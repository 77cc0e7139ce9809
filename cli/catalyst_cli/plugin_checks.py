"""Whether a distribution is a plugin that may be installed: looked at, imported, and run against its kind's suite.

Invariants
  apart      a stranger's code runs in processes of its own, with a limit of time, never in this one;
  all told   everything that is cheap is looked at, and all of it told; the suite runs over what has passed that;
  shown      a suite counts only if its tests ran: a class that is empty, or skips everything, proves nothing.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from catalyst_sdk import SDK_VERSION, Manifest, ManifestFault, load_manifest
from catalyst_sdk.cloud import CAPABILITIES as CLOUD_CAPABILITIES
from catalyst_sdk.continuum import CAPABILITIES as PROMOTER_CAPABILITIES
from catalyst_sdk.continuum import FENCER_CAPABILITIES
from catalyst_sdk.dns import Capability
from catalyst_sdk.hooks import GROUP
from catalyst_sdk.payment import CAPABILITIES as PAYMENT_CAPABILITIES
from catalyst_sdk.registrar import CAPABILITIES as REGISTRAR_CAPABILITIES
from catalyst_sdk.source import CAPABILITIES as SOURCE_CAPABILITIES
from catalyst_sdk.witness import CAPABILITIES as WITNESS_CAPABILITIES

from .findings import Finding

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
_SECONDS = 600.0
_NAMED_LIKE_SECRETS = re.compile(r"(^|_)(key|token|secret|password|passphrase|credential)$")
_NOT_SECRET = re.compile(r"(^|_)(name|id|algorithm|file|folder|url)$")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is asked of a plugin of one kind: its suite, how many tests of it must pass, and the words it may declare."""

    suite: str
    least: int
    capabilities: frozenset[str]


KINDS = {
    "registrar": Kind("catalyst_testkit.registrar_suite:RegistrarSuite", 30, REGISTRAR_CAPABILITIES),
    "dns_backend": Kind("catalyst_testkit.dns_backend_suite:DnsBackendSuite", 30, frozenset(map(str, Capability))),
    "cloud_provider": Kind("catalyst_testkit.cloud_suite:CloudSuite", 25, CLOUD_CAPABILITIES),
    "payment_provider": Kind("catalyst_testkit.payment_suite:PaymentSuite", 25, PAYMENT_CAPABILITIES),
    "database_promoter": Kind("catalyst_testkit.continuum.promoter_suite:PromoterSuite", 18, PROMOTER_CAPABILITIES),
    "safety_check": Kind("catalyst_testkit.continuum.check_suite:SafetyCheckSuite", 6, frozenset()),
    "fencer": Kind("catalyst_testkit.continuum.fencer_suite:DistantFencerSuite", 8, FENCER_CAPABILITIES),
    "traffic": Kind("catalyst_testkit.continuum.driver_suite:TrafficDriverSuite", 9, frozenset()),
    "lease_witness": Kind("catalyst_testkit.cell_suite:CellSuite", 15, WITNESS_CAPABILITIES),
    "blueprint_source": Kind("catalyst_testkit.source_suite:SourceSuite", 9, SOURCE_CAPABILITIES),
}
_API_SUITE = "catalyst_testkit.registrar_suite:RegistrarApiSuite"
"""For a registrar that asks for a credential: faults of the line, and that no secret comes out."""

_IMPORT = """
import importlib, sys
import pluggy
from catalyst_sdk import PROJECT
from catalyst_sdk.hooks import Specs
try:
    module = importlib.import_module(sys.argv[1])
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Specs)
    manager.register(module)
    manager.check_pending()
    found = [hook.function.__name__ for hook in manager.hook.catalyst_plugin.get_hookimpls()]
except BaseException as error:
    sys.exit(f"{type(error).__name__}: {error}")
if not found:
    sys.exit("it implements no hook `catalyst_plugin`")
"""

_WHERE = "give the folder of a distribution: catalyst plugins check PATH"


def check(home: Path) -> list[Finding]:
    """All findings about the distribution in `home`, the good ones too."""
    project = _project(home)
    if isinstance(project, Finding):
        return [project]
    module = next(iter(project.values()))
    manifest, found = _manifest(home, module)
    found = [Finding("distribution", OK, f"{GROUP}: {module}"), *found, *_unmarked_secrets(manifest)]
    found.append(_imported(home, module))
    if manifest is None or any(finding.status == FAILED for finding in found):
        why = "mend what was found first: the suite would stumble over it"
        return [*found, Finding("conformance", SKIPPED, why)]
    outcomes = _outcomes(home)
    found += _conformance(manifest, outcomes)
    return [*found, _hunted_secrets(manifest, outcomes)]


def _project(home: Path) -> dict[str, str] | Finding:
    """Entry points of the distribution."""
    remedy = f'name the plugin\'s module under [project.entry-points."{GROUP}"] in pyproject.toml'
    try:
        project = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        entries: dict[str, str] = dict(project.get("entry-points", {}).get(GROUP, {}))
    except OSError as error:
        return Finding("distribution", FAILED, f"pyproject.toml: {error.strerror}", _WHERE)
    except (ValueError, KeyError) as error:
        why = f"pyproject.toml: {error}" if not isinstance(error, KeyError) else f"pyproject.toml lacks {error}"
        return Finding("distribution", FAILED, why, _WHERE)
    if len(entries) != 1:
        return Finding("distribution", FAILED, f"{len(entries)} entry points in {GROUP}, one is wanted", remedy)
    return entries


def _manifest(home: Path, module: str) -> tuple[Manifest | None, list[Finding]]:
    path = home / module.partition(".")[0] / "manifest.toml"
    try:
        manifest = load_manifest(path)
    except ManifestFault as fault:
        return None, [Finding("manifest", FAILED, text, f"correct {path}") for text in fault.faults]
    faults = list(_manifest_faults(home, manifest))
    about = f"{manifest.kind} {manifest.name}: {', '.join(manifest.capabilities) or 'no capabilities'}"
    return manifest, faults or [Finding("manifest", OK, about)]


def _manifest_faults(home: Path, manifest: Manifest) -> Iterator[Finding]:
    if manifest.kind not in KINDS:
        text = f"kind {manifest.kind} cannot be checked yet"
        yield Finding("manifest", FAILED, text, f"kinds with a suite for strangers: {', '.join(KINDS)}")
        return
    if not manifest.speaks(SDK_VERSION):
        text = f"sdk {manifest.sdk} leaves out version {SDK_VERSION} of the contracts"
        yield Finding("manifest", FAILED, text, f'sdk = ">={SDK_VERSION},<{SDK_VERSION + 1}"')
    strange = sorted(set(manifest.capabilities) - KINDS[manifest.kind].capabilities)
    if strange:
        known = ", ".join(sorted(KINDS[manifest.kind].capabilities))
        yield Finding("manifest", FAILED, f"unknown capabilities: {', '.join(strange)}", f"choose among {known}")
    try:
        jsonschema.Draft202012Validator.check_schema(dict(manifest.config))
    except jsonschema.SchemaError as error:
        yield Finding("manifest", FAILED, f"the schema of the configuration is wrong: {error.message}", "correct it")
    if not (home / manifest.docs).is_file():
        yield Finding(
            "manifest", FAILED, f"there is no page {manifest.docs}", "write it: what to configure, what it can do"
        )


def _imported(home: Path, module: str) -> Finding:
    done = _run(home, "-c", _IMPORT, module, seconds=60)
    if done is None:
        return Finding("import", FAILED, f"{module} was not imported within 60 s", "do no work at import")
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return Finding("import", FAILED, f"{module}: {said}", "it is imported as the host does it; see the error")
    return Finding("import", OK, f"{module} has the hook catalyst_plugin")


def _outcomes(home: Path) -> list[Mapping[str, Any]] | str:
    """What became of each test, or why nothing did."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "outcomes.json"
        words = ("-m", "pytest", "-q", "-p", "catalyst_testkit.outcomes", "--outcomes", str(report), "tests")
        done = _run(home, *words, seconds=_SECONDS)
        if done is None:
            return f"the tests did not end within {_SECONDS:.0f} s"
        if not report.exists():
            said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            return "; ".join(said[-3:]) or "pytest said nothing"
        outcomes: list[Mapping[str, Any]] = json.loads(report.read_text())
        return outcomes


def _conformance(manifest: Manifest, outcomes: list[Mapping[str, Any]] | str) -> Iterator[Finding]:
    if isinstance(outcomes, str):
        yield Finding("conformance", FAILED, outcomes, "see that `pytest` runs in this folder")
        return
    bad = [o for o in outcomes if o["outcome"] == "failed"]
    for o in bad:
        yield Finding("conformance", FAILED, f"{o['test']}: {o['why']}", f"pytest -q '{o['test']}'")
    suite = _suite_of(manifest)
    passed = [o for o in outcomes if suite in o["suites"] and o["outcome"] == "passed"]
    least = KINDS[manifest.kind].least if manifest.kind in KINDS else 1
    if len(passed) < least and not bad:
        text = f"{len(passed)} tests of {suite.rpartition(':')[2]} have passed, at least {least} are wanted"
        yield Finding("conformance", FAILED, text, f"let a test class be one of {suite.replace(':', '.')}")
    elif not bad:
        skipped = sum(o["outcome"] == "skipped" for o in outcomes)
        yield Finding(
            "conformance", OK, f"{len(passed)} tests of the suite passed, {skipped} skipped by what is declared"
        )


def _unmarked_secrets(manifest: Manifest | None) -> list[Finding]:
    if manifest is None:
        return []
    names = [*_unmarked("config", manifest.config), *_unmarked("credential", manifest.extra.get("credential", {}))]
    said = "looks like a secret, and is not marked"
    return [Finding("secrets", FAILED, f"{name} {said}", f"{name}: x-secret = true") for name in names]


def _hunted_secrets(manifest: Manifest, outcomes: list[Mapping[str, Any]] | str) -> Finding:
    """Whether the tests that look for secrets in every text have passed, where the suite of the kind has them."""
    hunts = [o for o in outcomes if not isinstance(o, str) and "test_no_secret_is_in_what_leaves" in o["test"]]
    if _suite_of(manifest) != _API_SUITE or (hunts and all(o["outcome"] == "passed" for o in hunts)):
        return Finding("secrets", OK, "every secret is marked as such" + (", and is in no text" if hunts else ""))
    text = "the hunt for secrets in answers, errors and logs has not passed"
    return Finding("secrets", FAILED, text, "let the test class be a RegistrarApiSuite, and mend what it finds")


def _unmarked(table: str, schema: Mapping[str, Any]) -> Iterator[str]:
    for name, rules in schema.get("properties", {}).items():
        looks_so = _NAMED_LIKE_SECRETS.search(name) and not _NOT_SECRET.search(name)
        if looks_so and not (isinstance(rules, Mapping) and rules.get("x-secret")):
            yield f"{table}.properties.{name}"


def _suite_of(manifest: Manifest) -> str:
    if manifest.kind == "registrar" and manifest.extra.get("credential"):
        return _API_SUITE
    return KINDS[manifest.kind].suite if manifest.kind in KINDS else ""


def _run(home: Path, *words: str, seconds: float) -> "subprocess.CompletedProcess[str] | None":
    """A process of its own over the distribution as it lies there, installed or not; None where it took too long."""
    env = {**os.environ, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            [sys.executable, *words], cwd=home, env=env, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return None

"""Every parser of what comes from outside (quality, section 4, row 22): no crash, no hang, a refusal with a reason.

Few examples in a usual run; HYPOTHESIS_PROFILE=long takes many.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from catalyst.billing.v1 import service_pb2 as billing
from catalyst.pooldomain.v1 import service_pb2 as pooldomain
from catalyst.provisioner.v1 import service_pb2 as provisioner
from catalyst.provisioner.v1.resources_pb2 import Offer, Sovereign
from catalyst_billing.domain import money
from catalyst_catalog.domain import documents, manifest, ranges, whens
from catalyst_catalog.domain.manifest import ManifestInvalid
from catalyst_gateway import stream
from catalyst_gateway.routes import Routes
from catalyst_gateway.transcode import to_request
from catalyst_mesh.calls import new_traceparent
from catalyst_mesh.paging import Page
from catalyst_mesh.settings import DaemonSettings, SettingsFault
from catalyst_pool_domain_manager.domain import filters, labels, targets
from catalyst_provisioner.rpc import filters as run_filters
from catalyst_sdk import Refused
from catalyst_sdk.manifests import ManifestFault, load_manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
fuzzed = settings(
    max_examples=5_000 if LONG else 60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=not LONG
)
"""Seeds are fixed in a usual run, so that a red one is red again; the long one draws anew and prints its seed."""

ODD = ["", " ", "\x00", "\ud800", "é" * 300, "9" * 5000, "-" * 64, "a" * 70_000, "(" * 2000, "{" * 2000, "%s{0}{x!r}",
       "../../etc/passwd", "１２３", "\u202e", "NaN", "1e999", "٣", ">=1 <2 || ^" * 200, "a.b" * 400, "\r\nX: y"]  # fmt: skip
TEXT = st.one_of(st.text(max_size=200), st.sampled_from(ODD))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)

PARSERS: dict[str, Callable[[str], object]] = {
    "page token": lambda text: Page.of(10, text, "list"),
    "traceparent": new_traceparent,
    "money": lambda text: money.parse(text, "OMR"),
    "currency": lambda text: money.parse("1.000", text),
    "version range": ranges.parse,
    "version": ranges.is_version,
    "condition": whens.parse,
    "label": lambda text: labels.judge(text, labels.Policy()),
    "filter of names": filters.parse,
    "filter of Sovereigns": lambda text: run_filters.parse(text, Sovereign, run_filters.SOVEREIGNS),
    "filter of offers": lambda text: run_filters.parse(text, Offer, run_filters.OFFERS),
    "target": lambda text: targets.parse((("default", text), (text, "203.0.113.1")), allow_private=False),
    "Last-Event-ID": lambda text: stream._resume(text, "incarnation", 10, 1),
}
"""What takes text; each may answer or refuse, and nothing else."""


def said(*words: object) -> None:
    """A refusal has these."""
    assert all(words)


@pytest.mark.parametrize("name", PARSERS)
def test_text_is_understood_or_refused_with_a_reason(name: str) -> None:
    @fuzzed
    @given(TEXT)
    def check(text: str) -> None:
        try:
            PARSERS[name](text)
        except Refused as refusal:
            said(refusal.reason, refusal.sentence)

    for text in ODD:
        check.hypothesis.inner_test(text)  # type: ignore[attr-defined]  # hypothesis gives it to its tests
    check()


@fuzzed
@given(st.one_of(st.binary(max_size=300), TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_a_blueprint_is_read_or_refused(content: bytes) -> None:
    try:
        manifest.check(documents.read(content))
    except (ManifestInvalid, documents.Unreadable) as fault:
        said(str(fault))


@fuzzed
@given(JSON)
def test_a_document_of_any_shape_is_a_blueprint_or_refused(document: Any) -> None:
    whole = {"apiVersion": "catalyst/v1", "kind": "Blueprint", "metadata": document, "spec": document}
    try:
        manifest.check(whole)
    except ManifestInvalid as fault:
        said(fault.violations)


@fuzzed
@given(content=st.one_of(st.binary(max_size=200), TEXT.map(lambda text: text.encode("utf-8", "replace"))))
def test_the_manifest_of_a_plugin_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "manifest.toml"
    for tail in (b"", b'\nkind = "registrar"\nname = "x"\nsdk = ">=1"\n'):
        path.write_bytes(content + tail)
        try:
            assert load_manifest(path).name
        except ManifestFault as fault:
            said(fault.faults)


@fuzzed
@given(st.dictionaries(st.sampled_from(["LISTEN", "PLUGINS", "DRAIN_SECONDS", "LOG_LEVEL", "DATA_FOLDER", "X"]), TEXT))
def test_settings_are_taken_or_every_fault_is_told(given_values: dict[str, str]) -> None:
    class Told(DaemonSettings):
        model_config = {**DaemonSettings.model_config, "env_prefix": "CATALYST_CATALOG_"}

    try:
        Told.load({f"CATALYST_CATALOG_{key}": value for key, value in given_values.items()}, argv=[])
    except SettingsFault as fault:
        said(str(fault))


ROUTES = Routes(
    service
    for contract in (billing, pooldomain, provisioner)
    for service in contract.DESCRIPTOR.services_by_name.values()
)


@fuzzed
@given(
    st.sampled_from(ROUTES.all),
    TEXT,
    st.lists(st.tuples(TEXT, TEXT), max_size=3),
    st.one_of(st.binary(max_size=200), JSON.map(lambda value: repr(value).encode("utf-8", "replace"))),
)
def test_a_request_over_http_becomes_a_message_or_is_refused(
    route: Any, name: str, query: list[tuple[str, str]], body: bytes
) -> None:
    try:
        to_request(route, dict.fromkeys(route.variables, name), query, body)
    except Refused as refusal:
        said(refusal.reason in ("BODY_INVALID", "REQUEST_INVALID"))


@fuzzed
@given(st.sampled_from(["GET", "POST", "DELETE", "PATCH", "\x00"]), TEXT)
def test_any_path_has_a_route_or_none(verb: str, path: str) -> None:
    for whole in (path, f"/v1/{path}", f"/v1/pools/{path}:commit", f"/v1/sovereigns/{path}/runs/{path}"):
        found = ROUTES.find(verb, whole)
        assert found is None or all(found[1].values())


def test_what_was_fuzzed_here_is_what_comes_from_outside() -> None:
    assert len(PARSERS) >= 13

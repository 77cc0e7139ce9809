"""What a wish may say: each rule has a sample that is refused, and all that is wrong is said at once."""

from contextlib import suppress
from typing import Any

import pytest
from catalyst_continuum.domain.parsing import kept, parse
from catalyst_continuum.domain.spec import Mechanism, Selector, Spec, SpecInvalid
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.domain.timing import COMPAT, DEFAULT, FAST
from catalyst_continuum.domain.view import Mode
from catalyst_sdk import forms
from catalyst_sdk.continuum_form import SPEC
from hypothesis import given
from hypothesis import strategies as st

from services.continuum.tests.manifests import EAST, WEST, cell, having, lone, stateful, stateless

HOUSE = House("demo")
CONFIG = "spec.leaseClient.config"


def wrong(document: Any, house: House = HOUSE) -> dict[str, str]:
    """Rule by path."""
    with pytest.raises(SpecInvalid) as refused:
        parse(document, house)
    return {v.field: v.rule for v in refused.value.violations}


def test_a_right_manifest_gets_every_default() -> None:
    spec = parse(stateful(), HOUSE)
    assert (spec.application, spec.primary, spec.standbys, spec.mode) == ("shop", EAST, (WEST,), Mode.AUTOMATIC)
    assert (spec.profile, spec.rto, spec.rpo, spec.is_rto_feasible) == (DEFAULT, 60, 5, True)
    assert spec.names is not None
    assert (spec.names.selector, spec.names.ttl) == (Selector.STATIC, 10)
    assert spec.switchover.mechanism is Mechanism.CNPG_TOPOLOGY
    assert (spec.approval.required, spec.approval.quorum, spec.approval.timeout) == ("failback", 1, 900)
    assert (spec.anti_flap.min_interval, spec.anti_flap.window, spec.drill.max_age) == (3600, 86400, 2_592_000)
    assert [one.secret.key for one in spec.lease.cells if one.secret] == ["tsig"] * 3
    assert spec.clusters[WEST].namespace == "demo"
    assert [(wish.place, wish.is_primary) for wish in map(spec.wish, spec.members)] == [(0, True), (0, False)]
    assert [region.name for region in spec.peers(EAST)] == [WEST]


def test_without_standby_a_slot_is_manual_and_needs_no_application() -> None:
    spec = parse(lone(), HOUSE)
    assert (spec.mode, spec.has_standby, spec.lease.cells) == (Mode.MANUAL, False, ())


def test_where_nothing_is_promoted_names_are_tested_region_by_region() -> None:
    spec = parse(stateless(), HOUSE)
    assert spec.names is not None
    assert spec.names.selector is Selector.IFURLUP
    assert not spec.has_database


def test_pickfirst_means_static_and_is_warned_of() -> None:
    spec = parse(having(stateful(), luaRecord__selector="pickfirst"), HOUSE)
    assert spec.names is not None
    assert spec.names.selector is Selector.STATIC
    assert "pickfirst" in spec.warnings[0]


@pytest.mark.parametrize(
    ("rto", "ttl", "profile", "feasible"),
    [
        ("70s", 10, COMPAT, True),
        ("1m", 10, DEFAULT, True),
        ("40s", 10, FAST, True),
        ("35s", 10, FAST, False),
        ("35s", 5, FAST, True),
    ],
)  # fmt: skip - a table
def test_the_times_follow_from_the_goal(rto: str, ttl: int, profile: object, feasible: bool) -> None:
    spec = parse(having(stateful(), rto=rto, luaRecord__ttl=ttl), HOUSE)
    assert (spec.profile, spec.is_rto_feasible) == (profile, feasible)


def test_times_that_are_given_bring_the_others_after_them() -> None:
    spec = parse(having(stateful(), leaseClient__config__ttlSeconds=24), HOUSE)
    profile = spec.profile
    assert (profile.ttl, profile.renew, profile.op, profile.fence, profile.look) == (24, 8, 3, 5, 1.6)


def test_slow_fencers_lengthen_the_fence_budget_and_forbid_a_shorter_one() -> None:
    slow = House("demo", fence_worst=8)
    assert parse(stateful(), slow).profile.fence == 8
    assert wrong(having(stateful(), leaseClient__config__fenceBudgetSeconds=6), slow) == {
        f"{CONFIG}.fenceBudgetSeconds": "fencers"
    }


def test_a_breach_of_admission_shows_arithmetic_and_a_value_that_would_do() -> None:
    document = having(stateful(), leaseClient__config__ttlSeconds=10, leaseClient__config__renewSeconds=6)
    with pytest.raises(SpecInvalid) as refused:
        parse(document, HOUSE)
    told = {v.field.rpartition(".")[2]: v.description for v in refused.value.violations}
    assert sorted(told) == ["fenceBudgetSeconds", "renewSeconds", "ttlSeconds"]
    assert "R + 2 O + 0.2 R = 13.2 s" in told["ttlSeconds"]
    assert "below 5 s would do" in told["renewSeconds"]
    assert "above 10.0 s would do" in told["fenceBudgetSeconds"]


def nameservers(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"leaseClient": {"kind": "dns-quorum", "config": {"nameservers": list(rows)}}}


def cells(*kinds: str, **more: Any) -> dict[str, Any]:
    rows = [{"name": f"c{n}", "kind": kind, "domain": f"d{n}", **more} for n, kind in enumerate(kinds)]
    return {"leaseClient": {"kind": "quorum", "config": {"cells": rows}}}


REJECTED: list[tuple[dict[str, Any], str, str]] = [
    ({"primaryRegion": "fsn"}, "spec.primaryRegion", "pattern"),
    ({"primaryRegion": ...}, "spec.primaryRegion", "required"),
    ({"primaryRegion": "hz-fsn-rtz-" + "p" * 30}, "spec.primaryRegion", "length"),
    ({"applicationRef": ...}, "spec.applicationRef", "required"),
    ({"applicationRef": {"name": "Shop"}}, "spec.applicationRef.name", "pattern"),
    ({"hotStandbyRegions": [EAST]}, "spec.hotStandbyRegions[0]", "unique"),
    ({"hotStandbyRegions": [WEST, WEST]}, "spec.hotStandbyRegions[1]", "unique"),
    ({"hotStandbyRegions": [f"hz-r{n}-rtz-prod" for n in range(5)]}, "spec.hotStandbyRegions", "count"),
    ({"hotStandbyRegions": []}, "spec.autoFailover", "standby"),
    ({"regions": []}, "spec.regions", "member"),
    ({"regions__1__name": "hz-nbg-rtz-prod"}, "spec.regions[1].name", "member"),
    ({"regions__1__name": EAST}, "spec.regions[1].name", "unique"),
    ({"regions__0__lbIPs": []}, "spec.regions[0].lbIPs", "required"),
    ({"regions__0__lbIPs": ["nowhere"]}, "spec.regions[0].lbIPs[0]", "pattern"),
    ({"regions__0__agentEndpoint": ...}, "spec.regions[0].agentEndpoint", "required"),
    ({"regions__0__agentEndpoint": "agent"}, "spec.regions[0].agentEndpoint", "pattern"),
    ({"regions__0__weight": -1}, "spec.regions[0].weight", "range"),
    ({"regions__0__promotable": "yes"}, "spec.regions[0].promotable", "type"),
    ({"leaseClient": ...}, "spec.leaseClient", "required"),
    ({"leaseClient": {"kind": "etcd"}}, "spec.leaseClient.kind", "word"),
    ({"leaseClient": {"kind": "in-memory"}}, "spec.leaseClient.kind", "in-memory"),
    ({"leaseClient": {"kind": "cloudflare-kv"}}, f"{CONFIG}.baseURL", "required"),
    ({"leaseClient": {"kind": "durable-object"}}, f"{CONFIG}.tokenSecretRef", "required"),
    ({"leaseClient": {"kind": "k8s-lease"}}, f"{CONFIG}.kubeconfigSecretRef", "required"),
    ({"leaseClient": {"kind": "quorum"}}, f"{CONFIG}.cells", "required"),
    ({"leaseClient__kind": "quorum"}, f"{CONFIG}.nameservers", "kind"),
    ({"leaseClient__config__ttlSeconds": 1}, f"{CONFIG}.ttlSeconds", "range"),
    ({"leaseClient__config__renewSeconds": 61}, f"{CONFIG}.renewSeconds", "range"),
    ({"leaseClient__config__pollSeconds": 0.1}, f"{CONFIG}.pollSeconds", "range"),
    ({"leaseClient__config__opTimeoutSeconds": 11}, f"{CONFIG}.opTimeoutSeconds", "range"),
    ({"leaseClient__config__fenceBudgetSeconds": "5s"}, f"{CONFIG}.fenceBudgetSeconds", "type"),
    ({"leaseClient__config__maxDriftPpm": 50}, f"{CONFIG}.maxDriftPpm", "range"),
    ({"leaseClient__config__opTimeoutSeconds": 6}, f"{CONFIG}.ttlSeconds", "C1"),
    ({"leaseClient__config__fenceBudgetSeconds": 10}, f"{CONFIG}.fenceBudgetSeconds", "C2"),
    ({"leaseClient__config__renewSeconds": 15}, f"{CONFIG}.renewSeconds", "C3"),
    ({"leaseClient__config__pollSeconds": 9}, f"{CONFIG}.pollSeconds", "C4"),
    ({"leaseClient__config__resolvers": ["8.8.8.8", "1.1.1.1"]}, f"{CONFIG}.resolvers", "count"),
    ({"leaseClient__config__resolvers": ["8.8.8.8", "1.1.1.1", "::1"]}, f"{CONFIG}.resolvers[2]", "pattern"),
    ({"leaseClient__config__tokenSecretRef": "s3cret"}, f"{CONFIG}.tokenSecretRef", "type"),
    ({"leaseClient__config__token": "s3cret"}, f"{CONFIG}.token", "unknown"),
    (nameservers(cell(1), cell(2)), f"{CONFIG}.nameservers", "count"),
    (nameservers(*map(cell, range(1, 5))), f"{CONFIG}.nameservers", "odd"),
    (nameservers(cell(1), cell(2), cell(3, address="192.0.2.1:53")), f"{CONFIG}.nameservers[2].address", "unique"),
    (nameservers(cell(1), cell(2), cell(3, name="cell-1")), f"{CONFIG}.nameservers[2].name", "unique"),
    (nameservers(cell(1), cell(2), cell(3, address="9.9.9.9:53")), f"{CONFIG}.nameservers[2].address", "resolver"),
    (nameservers(cell(1), cell(2), cell(3, address="ns3.example:53")), f"{CONFIG}.nameservers[2].address", "pattern"),
    (nameservers(cell(1, region=EAST), cell(2, region=WEST), cell(3)), f"{CONFIG}.nameservers", "majority"),
    (nameservers(cell(1), cell(2), cell(3, tsigSecretRef="abc")), f"{CONFIG}.nameservers[2].tsigSecretRef", "type"),
    (cells("dns", "dns", "dns", zone="z.example", secretRef={"name": "s"}), f"{CONFIG}.cells[0].address", "required"),
    (cells("http-cas", "etcd", "redis"), f"{CONFIG}.cells[2].kind", "word"),
    (cells("etcd", "etcd", "etcd", address="192.0.2.1", domain="same"), f"{CONFIG}.cells[1].domain", "unique"),
    ({"luaRecord__selector": "round-robin"}, "spec.luaRecord.selector", "word"),
    ({"luaRecord__selector": "ifurlup"}, "spec.luaRecord.selector", "stateful"),
    ({"luaRecord__ttl": 301}, "spec.luaRecord.ttl", "range"),
    ({"luaRecord__hostnames": ["shop.example.org"]}, "spec.luaRecord.hostnames[0]", "zone"),
    ({"luaRecord__hostnames": []}, "spec.luaRecord.hostnames", "count"),
    ({"luaRecord__pdmZone": "example.org"}, "spec.luaRecord.pdmZone", "alias"),
    ({"luaRecord__healthCheck": {"url": "shop.example.com/up"}}, "spec.luaRecord.healthCheck.url", "pattern"),
    (
        {"luaRecord__healthCheck": {"url": "https://shop.example.com", "intervalSeconds": 2}},
        "spec.luaRecord.healthCheck.timeoutSeconds",
        "order",
    ),
    ({"rto": "1minute"}, "spec.rto", "pattern"),
    ({"rto": "1d"}, "spec.rto", "pattern"),
    ({"rto": "0s"}, "spec.rto", "range"),
    ({"rpo": "fast"}, "spec.rpo", "pattern"),
    ({"mode": "sometimes"}, "spec.mode", "word"),
    ({"mode": "manual"}, "spec.mode", "contradiction"),
    ({"mode": "automatic", "autoFailover": False}, "spec.mode", "contradiction"),
    ({"switchover__mechanism": "magic"}, "spec.switchover.mechanism", "word"),
    ({"switchover__mechanism": "cnpg-pair"}, "spec.cnpgPair", "required"),
    ({"switchover__mechanism": "raft-transition"}, "spec.switchover.raftTransition", "required"),
    ({"switchover__raftTransition": {"namespace": "bao"}}, "spec.switchover.raftTransition.pod", "required"),
    ({"switchover__raftTransition": {"pod": "bao-0"}}, "spec.switchover.raftTransition.namespace", "required"),
    ({"switchover__drainSeconds": 301}, "spec.switchover.drainSeconds", "range"),
    ({"switchover__requested": True}, "spec.switchover.requestId", "required"),
    ({"switchover__targetRegion": "hz-nbg-rtz-prod"}, "spec.switchover.targetRegion", "member"),
    ({"cnpgPair": {"name": "pair", "namespace": "other"}}, "spec.cnpgPair.namespace", "namespace"),
    ({"httpRoute": {"name": "shop", "namespace": "other"}}, "spec.httpRoute.namespace", "namespace"),
    ({"database__clusters": {EAST: {"name": "shop"}}}, "spec.database.clusters", "member"),
    ({"database__clusters__hz-nbg-rtz-prod": {"name": "x"}}, "spec.database.clusters.hz-nbg-rtz-prod", "member"),
    ({"database": ...}, "spec.database.clusters", "member"),
    ({"database__syncMode": "maybe"}, "spec.database.syncMode", "word"),
    ({"standbyGraceSeconds": 3601}, "spec.standbyGraceSeconds", "range"),
    ({"approval": {"approvers": ["ann"], "quorum": 2}}, "spec.approval.quorum", "quorum"),
    ({"approval": {"required": "sometimes"}}, "spec.approval.required", "word"),
    ({"approval": {"timeout": "8d"}}, "spec.approval.timeout", "range"),
    ({"antiFlap": {"maxAutoFailovers": 101}}, "spec.antiFlap.maxAutoFailovers", "range"),
    ({"failback": {"policy": "automatic"}}, "spec.failback.policy", "word"),
    ({"failback": {"policy": "scheduled"}}, "spec.failback.window", "required"),
    ({"witnessLoss": "ignore"}, "spec.witnessLoss", "word"),
    ({"safetyRules": [{"name": "both", "expr": "true", "plugin": "p"}]}, "spec.safetyRules[0]", "required"),
    ({"drill": {"kind": "real"}}, "spec.drill.kind", "word"),
    ({"drill": {"schedule": "daily"}}, "spec.drill.schedule", "pattern"),
    ({"suspend": "no"}, "spec.suspend", "type"),
    ({"autofailover": True}, "spec.autofailover", "unknown"),
    ({"regions__0__weight": 1.5}, "spec.regions[0].weight", "type"),
    ({"database__clusters": []}, "spec.database.clusters", "type"),
    ({"database__clusters": {f"hz-r{n}-rtz-prod": {"name": "x"} for n in range(6)}}, "spec.database.clusters", "count"),
]  # fmt: skip - a table


@pytest.mark.parametrize(("changes", "path", "rule"), REJECTED, ids=[f"{path}:{rule}" for _, path, rule in REJECTED])
def test_what_breaks_a_rule_is_refused_at_its_field(changes: dict[str, Any], path: str, rule: str) -> None:
    assert wrong(having(stateful(), **changes)).get(path) == rule


@pytest.mark.parametrize("document", [None, [], "spec", 7, {}])
def test_what_is_no_spec_at_all_is_refused_as_such(document: object) -> None:
    assert wrong(document)


def test_all_that_is_wrong_is_said_at_once() -> None:
    document = having(
        stateful(), primaryRegion="fsn", rto="1minute", rpo="fast", leaseClient__kind="etcd", colour="red"
    )
    assert {"spec.primaryRegion", "spec.rto", "spec.rpo", "spec.leaseClient.kind", "spec.colour"} <= wrong(
        document
    ).keys()


def test_a_refusal_never_shows_what_stands_where_no_secret_belongs() -> None:
    document = having(stateful(), leaseClient__config__token="s3cret", leaseClient__config__tokenSecretRef="s3cret")
    with pytest.raises(SpecInvalid) as refused:
        parse(document, HOUSE)
    assert "s3cret" not in str(refused.value.violations) + str(refused.value)


def test_a_regulated_house_needs_two_who_agree() -> None:
    house = House("demo", regulated=True)
    assert parse(stateful(), house).approval.quorum == 2
    assert wrong(having(stateful(), approval={"quorum": 1}), house) == {"spec.approval.quorum": "regulated"}


def test_a_manifest_comes_back_from_the_api_as_it_went_there() -> None:
    document = having(
        stateful(), rto="2m", approval={"timeout": "15m", "approvers": ["ann"]}, witnessLoss="fence", suspend=True,
        leaseClient__config__pollSeconds=0.5, switchover={"requested": True, "requestId": "one", "drainSeconds": 0},
    )  # fmt: skip
    values, faults = forms.read(SPEC, document, "spec")
    carried = SPEC.to_api(values)
    assert not faults
    assert (carried["rto"], carried["witness_loss"]) == ("120s", "WITNESS_LOSS_FENCE")
    assert carried["switchover"] == {"trigger": {"requested": True, "trigger_id": "one"}, "drain": "0s"}
    assert parse(SPEC.from_api(carried), HOUSE) == parse(document, HOUSE)


def rich() -> dict[str, Any]:
    """A wish that says everything that can be said."""
    rows = [
        {
            "name": "a",
            "kind": "dns",
            "domain": "x",
            "address": "192.0.2.1:53",
            "zone": "l.example",
            "secretRef": {"name": "s"},
        },
        {"name": "b", "kind": "http-cas", "domain": "y", "baseURL": "https://b.example", "secretRef": {"name": "s"}},
        {"name": "c", "kind": "etcd", "domain": "z", "address": "192.0.2.3:2379", "region": WEST},
    ]  # fmt: skip - a table
    return having(
        stateful(),
        leaseClient={"kind": "quorum", "config": {"cells": rows, "maxDriftPpm": 20_000}},
        rto="90s",
        luaRecord__healthCheck={"url": "https://shop.example.com/up", "failureThreshold": 5},
        regions__0__weight=7,
        switchover={"mechanism": "raft-transition", "raftTransition": {"namespace": "bao", "podSelector": "app=bao"}},
        safetyRules=[{"name": "night", "expr": "hour < 6", "when": "planned"}],
        drill={"kind": "isolated", "maxAge": "7d"},
        antiFlap={"maxAutoFailovers": 3},
        failback={"policy": "scheduled", "window": "0 3 * * 0"},
        httpRoute={"name": "shop"},
        database=...,
    )  # fmt: skip - one document


def test_everything_that_can_be_said_is_understood() -> None:
    spec = parse(rich(), HOUSE)
    assert [(one.kind, one.secret.key if one.secret else "") for one in spec.lease.cells] == [
        ("dns", "tsig"),
        ("http-cas", "token"),
        ("etcd", ""),
    ]  # fmt: skip - a table
    assert spec.profile.drift == 0.02
    assert spec.names is not None
    assert spec.names.health is not None
    assert (spec.names.health.failures, spec.names.health.interval, spec.region(EAST).weight) == (5, 5, 7)
    assert spec.switchover.raft is not None
    assert (spec.switchover.raft.pod_selector, spec.switchover.raft.container) == ("app=bao", "openbao")
    assert (spec.anti_flap.max_auto_failovers, spec.drill.max_age, spec.failback.window) == (3, 604_800, "0 3 * * 0")
    assert spec.safety_rules[0].expr == "hour < 6"
    assert parse(SPEC.from_api(SPEC.to_api(forms.read(SPEC, rich(), "spec")[0])), HOUSE) == spec


def test_a_wish_that_was_accepted_once_stays_readable_when_rules_become_stricter() -> None:
    strict = House("demo", fence_worst=30.0, regulated=True)
    document = having(stateful(), leaseClient__config__ttlSeconds=24, approval={"quorum": 1})
    assert wrong(document, strict)
    assert kept(document, strict).primary == EAST


def test_paths_lead_both_ways() -> None:
    for manifest, api in (
        (
            "leaseClient.config.nameservers[2].tsigSecretRef.key",
            "lease_client.config.nameservers[2].tsig_secret_ref.key",
        ),
        ("switchover.requestId", "switchover.trigger.trigger_id"),
        (f"database.clusters.{EAST}.name", f"database.clusters.{EAST}.name"),
        ("colour", "colour"),
    ):
        assert forms.api_path(SPEC, manifest) == api
        assert forms.manifest_path(SPEC, api) == manifest
    assert forms.api_path(SPEC, "luaRecord.pdmZone") == "lua_record.zone"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(SPEC.fields)), _JSON)
def test_whatever_stands_in_a_field_is_understood_or_refused(name: str, value: Any) -> None:
    with suppress(SpecInvalid):  # and with nothing else
        assert isinstance(parse(stateful() | {name: value}, HOUSE), Spec)

"""Masks, changes, states, commands, locks and verdicts: values in, values out."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from catalyst_sdk import Permanent, RateLimited, Temporary
from catalyst_sdk.cloud import Action, Adopted, Change, ClusterRequest, NodePool
from catalyst_sdk.tofu import commands, locks, states, verdicts
from catalyst_sdk.tofu.changes import (
    Part,
    Planned,
    Resource,
    contract_changes,
    drifted,
    gone_beyond,
    moves_outputs,
    planned,
)
from catalyst_sdk.tofu.holders import Holder
from catalyst_sdk.tofu.masks import HIDDEN, Veil, masked
from catalyst_sdk.tofu.states import Kept
from catalyst_sdk.tofu.stream import Diagnostic
from hypothesis import given, settings
from hypothesis import strategies as st

CANARY = "canary-of-a-token"


def describe(type: str, values: Any) -> Resource | Part:
    if type == "subnet":
        return Part("network")
    return Resource(type, values["name"], "here", values.get("labels", {}))


def change(address: str, *actions: str, **more: Any) -> dict[str, Any]:
    type, local = address.split("[")[0].split(".")
    values = {"name": f"name-of-{address}", **more.pop("values", {})}
    before = None if actions == ("create",) else {"id": "7", **values}
    after = None if actions == ("delete",) else values
    told = {"actions": list(actions), "before": before, "after": after, **more}
    return {"address": address, "mode": "managed", "type": type, "name": local, "change": told}


def lines(*changes: dict[str, Any]) -> list[Planned]:
    return planned({"resource_changes": changes}, describe)


def test_what_the_mask_marks_is_hidden_and_nothing_else() -> None:
    value = {"token": CANARY, "list": [CANARY, "seen"], "nest": {"user_data": CANARY, "size": 4}}
    mask = {"token": True, "list": [True, False], "nest": {"user_data": True}}
    assert masked(value, mask) == {"token": HIDDEN, "list": [HIDDEN, "seen"], "nest": {"user_data": HIDDEN, "size": 4}}
    assert masked(value, True) == HIDDEN
    assert masked(value, False) == value
    assert masked([1, 2, CANARY], [False]) == [1, 2, CANARY]


@settings(max_examples=30)
@given(st.text(max_size=30), st.text(min_size=8, max_size=12))
def test_a_veil_leaves_no_secret_in_a_text(text: str, secret: str) -> None:
    veil = Veil([secret, "short"])
    assert secret not in veil.over(f"{text} {secret} {text}") or secret in HIDDEN
    assert secret not in repr(veil)


def test_sensitive_and_unknown_values_are_not_shown() -> None:
    raw = change("server.cp", "create", values={"user_data": CANARY, "ip": None, "status": "?"})
    raw["change"] |= {"after_sensitive": {"user_data": True}, "after_unknown": {"status": True}}
    (line,) = lines(raw)
    assert line.after == {"name": "name-of-server.cp", "user_data": HIDDEN}
    assert CANARY not in repr(line)
    assert CANARY not in repr(contract_changes([line]))


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        (("no-op",), Action.NO_OP),
        (("create",), Action.CREATE),
        (("update",), Action.UPDATE),
        (("delete",), Action.DELETE),
        (("delete", "create"), Action.REPLACE),
        (("create", "delete"), Action.REPLACE),
        (("something", "new"), Action.UPDATE),
    ],
)
def test_actions_of_the_tool_are_those_of_the_contract(actions: tuple[str, ...], action: Action) -> None:
    (line,) = contract_changes(lines(change("server.cp", *actions)))
    assert line.action is action


def test_what_exists_and_is_taken_over_is_an_import() -> None:
    (line,) = contract_changes(lines(change("server.cp", "update", importing={"id": "7"})))
    assert (line.action, line.id) == (Action.IMPORT, "7")


def test_a_change_of_a_part_is_a_change_of_what_it_belongs_to() -> None:
    told = lines(change("network.main", "no-op"), change("subnet.main", "update"), change("network.other", "no-op"))
    assert [(one.address, one.action, one.paths) for one in contract_changes(told)] == [
        ("network.main", Action.UPDATE, ("subnet.main",)),
        ("network.other", Action.NO_OP, ()),
    ]
    made = lines(change("network.main", "create"), change("subnet.main", "create"))
    assert [(one.address, one.action) for one in contract_changes(made)] == [("network.main", Action.CREATE)]


def test_changed_paths_are_named() -> None:
    raw = change("server.cp", "update")
    raw["change"]["after"] = {**raw["change"]["after"], "size": "f4"}
    raw["change"]["before"] = {**raw["change"]["before"], "size": "f2"}
    (line,) = lines(raw)
    assert line.paths == ("size",)


def test_replacing_paths_belong_to_what_has_to_stay_equal() -> None:
    (line,) = lines(change("server.cp", "delete", "create", replace_paths=[["image"], ["network", 0, "ip"]]))
    assert line.normal == ("server.cp", Action.REPLACE, ("image", "network.0.ip"))


def accepted(**actions: Action) -> list[Change]:
    return [Change(action, "server", name, f"server.{name}", "here") for name, action in actions.items()]


@pytest.mark.parametrize("now", [("create",), ("update",), ("no-op",)])
def test_an_accepted_create_may_meanwhile_have_happened(now: tuple[str, ...]) -> None:
    assert gone_beyond(accepted(cp=Action.CREATE), lines(change("server.cp", *now))) == []


def test_what_an_earlier_try_left_half_made_may_be_made_anew() -> None:
    raw = change("server.cp", "delete", "create") | {"action_reason": "replace_because_tainted"}
    assert gone_beyond(accepted(cp=Action.CREATE), lines(raw)) == []
    assert gone_beyond(accepted(cp=Action.NO_OP), lines(raw)) == ["server.cp"]


@pytest.mark.parametrize("now", [("delete",), ("delete", "create"), ("create",), ("update",)])
def test_more_than_was_accepted_is_told(now: tuple[str, ...]) -> None:
    assert gone_beyond(accepted(cp=Action.NO_OP), lines(change("server.cp", *now))) == ["server.cp"]
    assert gone_beyond([], lines(change("server.cp", *now))) == ["server.cp"]


def test_drift_and_outputs_are_read_off_the_plan() -> None:
    shown = {"resource_drift": [change("server.cp", "delete")], "output_changes": {"catalyst": {"actions": ["no-op"]}}}
    assert [line.action for line in drifted(shown, describe)] == [Action.DELETE]
    assert not moves_outputs(shown)
    assert moves_outputs({"output_changes": {"catalyst": {"actions": ["update"]}}})


def state(serial: int, lineage: str = "one", mark: str = "") -> str:
    return json.dumps({"version": 4, "lineage": lineage, "serial": serial, "mark": mark, "resources": []})


@pytest.mark.parametrize(
    ("folder", "sealed", "newer"),
    [
        (state(5), state(4), "folder"),
        (state(4), state(5), "sealed"),
        (state(4, mark="folder"), state(4, mark="sealed"), "folder"),
        (state(9, "another"), state(4), "sealed"),
        ("", state(4), "sealed"),
        (state(4), "", "folder"),
        ('{"version": 4, "lineage": "one", "ser', state(4), "sealed"),
        ("[]", state(4), "sealed"),
    ],
)
def test_the_newer_state_of_the_same_series_counts(folder: str, sealed: str, newer: str) -> None:
    assert states.newest(folder=folder, sealed=sealed) == {"folder": folder, "sealed": sealed}[newer]


def test_what_is_kept_comes_back_as_it_was() -> None:
    request = ClusterRequest(
        "sovereigns/acme", "acme.example", "fc-here-mgt-prod", "k3x9", "here", {"a": "b"}, NodePool("cp", "f2", 3),
        (NodePool("general", "f4", 2),), ssh_allowed_cidrs=("10.0.0.0/8",), adopted={"network.main": Adopted("old-net", "7")},
    )  # fmt: skip
    kept = Kept(state(3), request, fenced=True, holder=Holder("here", "its boot", "its token"))
    assert states.decoded(kept.encoded()) == kept
    before = {key: value for key, value in json.loads(kept.encoded()).items() if key != "holder"}
    assert states.decoded(json.dumps(before).encode()) == replace(kept, holder=None), "a state of the release before"
    assert kept.encoded() == replace(kept).encoded()
    assert states.decoded(None) == states.decoded(b"") == Kept()


def test_nothing_of_the_host_reaches_the_tool_but_what_is_listed() -> None:
    host = {
        "PATH": "/bin",
        "TF_LOG": "trace",
        "TF_CLI_ARGS": "-lock=false",
        "HCLOUD_TOKEN": "theirs",
        "HOME": "/home/me",
    }
    env = commands.environment(
        host,
        folder="/run/one",
        data="/kept",
        credential={"HCLOUD_TOKEN": "ours"},
        secrets={"enrolment": {"cp1": {"token": CANARY}}},
    )
    assert {"TF_LOG", "TF_CLI_ARGS"}.isdisjoint(env)
    assert (env["PATH"], env["HOME"], env["TF_DATA_DIR"], env["HCLOUD_TOKEN"]) == ("/bin", "/run/one", "/kept", "ours")
    assert (env["TF_IN_AUTOMATION"], env["TF_INPUT"], env["CHECKPOINT_DISABLE"]) == ("1", "0", "1")
    assert json.loads(env["TF_VAR_enrolment"]) == {"cp1": {"token": CANARY}}


def test_no_argument_carries_a_variable() -> None:
    every = [
        commands.plan(),
        commands.plan(destroy=True),
        commands.apply(),
        commands.init(locked=True),
        commands.show(),
    ]
    assert not [argv for argv in every if any("var" in argument for argument in argv)]


def test_the_settings_file_names_a_mirror_or_nothing() -> None:
    assert 'path = "/mirror"' in commands.settings(mirror="/mirror")
    assert commands.settings() == ""
    assert commands.settings(cache="/cache") == 'plugin_cache_dir = "/cache"\n'


def test_a_lock_file_is_written_from_the_pins_for_the_registry_that_the_tool_asks(tmp_path: Path) -> None:
    data = {"hetznercloud/hcloud": {"version": "1.2.3", "hashes": ["zh:bb", "h1:aa="]}}
    (tmp_path / "providers.json").write_text(json.dumps(data))
    told = "\nProviders required by configuration:\n.\n└── provider[registry.example/hetznercloud/hcloud] ~> 1.2\n"
    written = locks.lock_file(locks.pins(tmp_path / "providers.json"), locks.hosts(told))
    assert written == (
        'provider "registry.example/hetznercloud/hcloud" {\n  version = "1.2.3"\n'
        '  hashes = [\n    "h1:aa=",\n    "zh:bb",\n  ]\n}\n'
    )


CLASSES = verdicts.by_code({"capacity": ["resource_unavailable"], "auth": ["forbidden"], "transient": ["server_error"],
                            "rate_limited": ["rate_limit_exceeded"]})  # fmt: skip


def judged(*codes: str) -> Any:
    found = [Diagnostic("error", "it failed", f"no ({code}, 0a1b-2c)" if code else "no") for code in codes]
    pairs = [(one, verdicts.trailing_code(one)) for one in found]
    return verdicts.failure(pairs, CLASSES, provider="files", actions={"capacity": "take another size"})


def test_codes_become_errors_of_their_class() -> None:
    capacity = judged("resource_unavailable")
    assert isinstance(capacity, Permanent)
    assert (capacity.reason, capacity.user_action) == ("CAPACITY", "take another size")
    assert isinstance(judged("server_error"), Temporary)
    limited = judged("rate_limit_exceeded")
    assert isinstance(limited, RateLimited)
    assert limited.retry_after > timedelta(0)


def test_of_several_errors_the_one_that_needs_a_person_counts() -> None:
    assert judged("server_error", "resource_unavailable", "rate_limit_exceeded").reason == "CAPACITY"
    assert judged("resource_unavailable", "forbidden").reason == "AUTH"


@pytest.mark.parametrize("code", ["", "something_else"])
def test_what_no_code_tells_is_unknown(code: str) -> None:
    assert judged(code).reason == "UNKNOWN"


def test_a_tool_that_says_nothing_may_be_tried_again() -> None:
    assert isinstance(judged(), Temporary)

"""Mistakes of a user: a precise answer, and nothing changed."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from .devs import EXAMPLE, Dev


def spec(**changes: Any) -> dict[str, Any]:
    document = yaml.safe_load(EXAMPLE.read_text())
    document["name"] = "sovereigns/refused"
    document["organization"] = {**document["organization"], "slug": "refused"}
    document["domain"] = {**document["domain"], "label": "refused"}
    for path, value in changes.items():
        where = document
        *parents, last = path.split("__")
        for parent in parents:
            where = where[int(parent)] if isinstance(where, list) else where.setdefault(parent, {})
        where[last] = value
    return document


def create(dev: Dev, folder: Path, document: Any, *words: str) -> tuple[int, str]:
    file = folder / "sovereign.yaml"
    file.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    answer = dev.command("sovereign", "create", "--file", str(file), "--yes", *words)
    assert "Traceback" not in answer.stderr
    return answer.returncode, answer.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "red"}, "colour"),
        ({"domain__label": "Acme"}, "label"),
        ({"domain__label": "-a"}, "label"),
        ({"domain__label": "api"}, "api"),
        ({"components__include": ["bp-nothing"]}, "bp-nothing"),
        ({"clusters__0__control_plane__count": 2}, "count"),
        ({"clusters__0__region": "atlantis"}, "atlantis"),
        ({"clusters__0__provider": "nowhere"}, "nowhere"),
    ],
)
def test_a_wrong_spec_is_refused_by_its_field(shared: Dev, folder: Path, changes: dict[str, Any], said: str) -> None:
    before = shared.api.pages("/v1/pools/omani.works/allocations", "allocations")
    code, told = create(shared, folder, spec(**changes), "--voucher", "FIRST-SOVEREIGN")
    assert code in (2, 4), told
    assert said in told
    assert shared.api.pages("/v1/pools/omani.works/allocations", "allocations") == before


def test_all_faults_of_a_spec_come_at_once(shared: Dev, folder: Path) -> None:
    wrong = spec(domain__label="Acme", clusters__0__control_plane__count=2, organization__admin_email="nobody")
    _, told = create(shared, folder, wrong)
    assert all(field in told for field in ("label", "count", "admin_email"))


@pytest.mark.parametrize("text", ["", "[1, 2]", "name: [", "name: sovereigns/x\nname2: \x00", "just words"])
def test_a_file_that_is_no_sovereign_is_refused(shared: Dev, folder: Path, text: str) -> None:
    code, told = create(shared, folder, text)
    assert code == 2, told


def test_an_unpaid_order_does_not_provision(shared: Dev, folder: Path) -> None:
    document = spec()
    name = document.pop("name")
    shared.api.post("/v1/sovereigns", {"name": name, "spec": document})
    plan = shared.api.post(f"/v1/{name}/plans", {"intent": "INTENT_APPLY"})
    answers = {}
    for order in ("", "billingAccounts/refused/orders/no-such-order"):
        body = {"hash": plan["hash"], **({"order": order} if order else {})}
        answers[order] = post(shared, f"/v1/{plan['name']}:apply", body)
    assert {o or "none": a["reason"] for o, a in answers.items()} == {
        "none": "ORDER_UNPAID", "billingAccounts/refused/orders/no-such-order": "ORDER_NOT_FOUND",
    }  # fmt: skip
    wrong = post(shared, f"/v1/{plan['name']}:apply", {"hash": "0" * 64})
    assert wrong["reason"] == "PLAN_HASH_MISMATCH"
    assert shared.api.get(f"/v1/{name}/runs")["runs"] == []
    one = shared.api.get(f"/v1/{name}")
    shared.api.delete(f"/v1/{name}", etag=one["etag"])


def test_a_taken_name_is_said_when_it_is_planned(shared: Dev, folder: Path) -> None:
    held = shared.command("name", "reserve", "refused.omani.works", "--owner", "organizations/rival", "-o", "json")
    assert held.returncode == 0, held.stderr
    token = json.loads(held.stdout)["reservationToken"]
    code, told = create(shared, folder, spec(), "--voucher", "FIRST-SOVEREIGN")
    assert code == 4, told
    assert "name.taken" in told
    shared.command("name", "release", "refused.omani.works", "--token", token)


def test_a_body_of_10_mb_and_a_missing_token_are_refused(shared: Dev) -> None:
    url, token = shared.state["gateway"], Path(shared.state["token_file"]).read_text()
    big = httpx.post(
        f"{url}/v1/sovereigns", content=b'{"name": "' + b"x" * 10_000_000 + b'"}',
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"}, timeout=30,
    )  # fmt: skip
    assert (big.status_code, big.json()["reason"]) == (413, "BODY_TOO_LARGE")
    nobody = httpx.get(f"{url}/v1/sovereigns")
    assert (nobody.status_code, nobody.json()["reason"]) == (401, "TOKEN_REJECTED")


def test_commands_say_how_they_failed(shared: Dev) -> None:
    absent = shared.command("sovereign", "get", "nobody")
    assert absent.returncode == 3
    assert "SOVEREIGN_NOT_FOUND" in absent.stderr
    assert "trace:" in absent.stderr
    assert shared.command("name", "check", "nodots").returncode == 2
    taken = json.loads(shared.command("name", "check", "www.omani.works", "-o", "json").stdout)
    assert (taken["available"], taken["reason"]) == (False, "LABEL_RESERVED")


def post(dev: Dev, path: str, body: dict[str, Any]) -> dict[str, Any]:
    token = Path(dev.state["token_file"]).read_text()
    answer = httpx.post(f"{dev.state['gateway']}{path}", json=body, headers={"authorization": f"Bearer {token}"})
    return dict(answer.json())

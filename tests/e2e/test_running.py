"""One dev that runs: asked as its users, services and operators ask it; a mistake gets a precise answer and changes nothing."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import httpx
import psutil
import pytest
import yaml
from catalyst_cli.api import Api
from catalyst_cli.context import Context
from catalyst_cli.failures import Failure
from catalyst_cli.tree import build
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

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
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"}, timeout=60,
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


def test_a_second_start_shows_what_runs_and_is_no_error(shared: Dev) -> None:
    second = shared.command(*shared.arguments())
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["pid"] == shared.state["pid"]


def test_everything_listens_on_loopback_only(shared: Dev) -> None:
    for process in shared.processes():
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip.removeprefix("::ffff:").startswith("127."), (
                    process.cmdline(),
                    connection.laddr,
                )


def test_the_doctor_finds_nothing_wrong(shared: Dev) -> None:
    answer = shared.command("doctor", "--output", "json")
    assert answer.returncode == 0, answer.stdout
    others = {f["check"]: f["message"] for f in json.loads(answer.stdout)["findings"] if f["status"] != "ok"}
    assert set(others) <= {"streams"}, others  # one server keeps one copy, which is fine for development only


def test_all_first_party_plugins_are_loaded(shared: Dev) -> None:
    rows = json.loads(shared.command("plugins", "list", "--output", "json").stdout)["plugins"]
    assert {row["name"] for row in rows} >= {
        "plugins/dns_backend:dns_embedded", "plugins/cloud_provider:sandbox", "plugins/registrar:manual",
        "plugins/payment_provider:fake", "plugins/lease_witness:dns_quorum",
    }  # fmt: skip
    assert {row["name"] for row in rows if row["state"] == "STATE_DISABLED"} == {
        "plugins/dns_backend:dns_powerdns", "plugins/dns_backend:dns_rfc2136", "plugins/payment_provider:stripe",
        "plugins/lease_witness:cloudflare", "plugins/fencer:mesh",
        *(f"plugins/database_promoter:{name}" for name in ("cnpg", "demo", "postgres", "stateless")),
    }  # fmt: skip
    assert {row["state"] for row in rows} == {"STATE_ACTIVE", "STATE_DISABLED"}


def test_the_shop_has_something_to_sell(shared: Dev) -> None:
    def sold() -> set[str]:
        return {one["name"] for one in shared.api.pages("/v1/catalog/apps", "apps") if one["deployable"]}

    apps = shared.until(sold, 60, "the source of the apps was read")
    assert len(apps) == 13
    assert apps >= {"apps/ghost", "apps/gitea", "apps/uptime-kuma"}


def test_a_cell_is_killed_frozen_wiped_and_started_by_hand(shared: Dev) -> None:
    def identity(address: str) -> str:
        host, port = address.split(":")
        query = dns.message.make_query("_cell.witness.test", "TXT")
        return str(dns.query.tcp(query, host, timeout=30, port=int(port)).answer[0][0])

    def done(what: str) -> dict[str, Any]:
        answer = shared.command("dev", "cell", what, "cell-2", "-o", "json")
        assert answer.returncode == 0, answer.stderr
        return dict(json.loads(answer.stdout))

    known = json.loads(shared.command("dev", "status", "-o", "json").stdout)["witness"]["cells"][1]
    first = identity(known["address"])
    assert done("kill")["state"] == "dead"
    assert not psutil.pid_exists(known["pid"])
    refused = shared.command("dev", "cell", "pause", "cell-2")
    assert (refused.returncode, "cell start cell-2" in refused.stderr) == (4, True)
    assert done("start")["state"] == "up"
    shared.until(lambda: _answered(identity, known["address"]) == first, 60, "it has what it acknowledged")
    assert done("pause")["state"] == "frozen"
    assert done("resume")["state"] == "up"
    assert done("wipe")["pid"] != known["pid"]
    shared.until(lambda: _answered(identity, known["address"]) not in ("", first), 60, "another identity")
    unknown = shared.command("dev", "cell", "kill", "cell-9")
    assert (unknown.returncode, "cell-1, cell-2, cell-3" in unknown.stderr) == (3, True)


def _answered(ask: Callable[[str], str], address: str) -> str:
    try:
        return ask(address)
    except OSError:
        return ""


def test_another_python_service_holds_a_name_is_refused_one_and_gives_it_back(shared: Dev) -> None:
    command = [sys.executable, "examples/02-call-a-daemon/call_pdm.py", str(shared.folder), "example"]
    for _ in range(2):  # it leaves things as it found them
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            "example.omani.works: free",
            "held: pools/omani.works/allocations/example",
            "refused: NAME_TAKEN, pools/omani.works/allocations/example",
            "free again",
        ]


def test_what_a_call_left_behind_is_seen_where_prometheus_scrapes(shared: Dev) -> None:
    shared.api.get("/v1/pools")
    found = {}
    for part in (0, 6):  # the gateway that calls, PDM that is called
        text = httpx.get(f"http://127.0.0.1:{shared.base + part + 1}/metrics").text
        found[part] = {
            (sample.name, sample.labels.get("method"), sample.labels.get("status"))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }  # fmt: skip - one thought
    method = "catalyst.pooldomain.v1.PoolService/ListPools"
    assert ("rpc_client_call_duration_seconds_count", method, "OK") in found[0]
    assert ("rpc_server_call_duration_seconds_count", method, "OK") in found[6]
    for part in found.values():
        assert {name for name, _, _ in part} >= {"catalyst_build_info", "catalyst_db_pool_in_use"}


def test_every_server_of_a_zone_and_its_keys_are_looked_at_from_the_command_line(shared: Dev) -> None:
    done = shared.command("zone", "propagation", "omani.works", "--output", "json")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert {(one["role"], one["said"]) for one in found["observations"]} == {("parent", "ok"), ("child", "ok")}
    assert (found["summary"]["delegated"], found["summary"]["consistent"]) == (True, True)
    keys = json.loads(shared.command("zone", "dnssec", "show", "omani.works", "--output", "json").stdout)
    assert (keys["state"], keys["ds"]) == ("STATE_ACTIVE", keys["dsObserved"])


def test_a_name_is_held_taken_moved_handed_over_and_given_back_from_the_command_line(
    shared: Dev, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALYST_CLI_CONFIG", shared.environment["CATALYST_CLI_CONFIG"])

    def told(*words: str) -> Any:
        done = CliRunner().invoke(build(words[0]), [*words, "-o", "json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    name = "handed.omani.works"
    held = told("name", "reserve", name, "--owner", "organizations/giver")
    token = ("--token", held["reservationToken"])
    assert told("name", "renew", name, *token, "--ttl", "3600")["expireTime"] > held["allocation"]["expireTime"]
    with pytest.raises(Failure, match="SLOT=ADDRESS"):
        told("name", "commit", name, *token, "--target", "127.7.0.9")
    with pytest.raises(Failure, match="is no address"):
        told("name", "commit", name, *token, "--target", "default=127.7.0")
    told("name", "commit", name, *token, "--target", "default=127.7.0.9")
    assert told("name", "wait", name, "--state", "active")["state"] == "STATE_ACTIVE"
    assert told("name", "retarget", name, "--target", "default=127.7.0.10")["targets"][0]["address"] == "127.7.0.10"
    offer = told("name", "offer", name, "--to", "organizations/taker")
    assert told("name", "accept", name, "--code", offer["code"])["owner"] == "organizations/taker"
    assert name in {
        one["fqdn"] for one in told("name", "list", "--filter", "owner = organizations/taker")["allocations"]
    }
    told("name", "release", name)
    assert told("name", "wait", name)["state"] == "STATE_QUARANTINED"
    events = [one["event"].rpartition(".")[2] for one in told("name", "history", name)["entries"]]
    assert (events[0], events[-3:]) == ("quarantined", ["committed", "renewed", "reserved"])


def test_a_dev_has_a_second_person_who_may_what_the_first_one_may(shared: Dev) -> None:
    with Api(Context(shared.state["gateway"], Path(shared.state["second_token_file"]))) as api:
        assert api.get("/v1/pools")["pools"], "an operator's view"


def test_rules_of_a_pool_are_read_changed_and_read_again_from_the_command_line(
    shared: Dev, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALYST_CLI_CONFIG", shared.environment["CATALYST_CLI_CONFIG"])

    def told(*words: str) -> str:
        done = CliRunner().invoke(build(words[0]), list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    file = folder / "pool.yaml"
    told(
        "pool",
        "create",
        "rules.example",
        "--kind",
        "mail",
        "--backend",
        "backends/embedded",
        "--servers",
        "nameServerSets/main",
    )
    file.write_text(told("pool", "get", "rules.example", "-o", "yaml").replace("2592000s", "86400s"))
    for _ in range(2):  # what is so already is no change
        assert "86400s" in told("pool", "update", "rules.example", "--file", str(file))
    file.write_text("quarantin: 1s")
    with pytest.raises(Failure) as wrong:
        told("pool", "update", "rules.example", "--file", str(file))
    assert wrong.value.details == ("pool.quarantin: there is no such field",)
    assert "catalyst" in told("pool", "never", "omani.works")
    told("pool", "delete", "rules.example", "--yes")
    assert "rules.example" not in told("pool", "list")

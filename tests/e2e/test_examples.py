"""The examples, run as their pages say."""

import json
import subprocess
import sys

import httpx
from prometheus_client.parser import text_string_to_metric_families

from .devs import Dev


def test_another_python_service_holds_a_name_is_refused_one_and_gives_it_back(shared: Dev) -> None:
    command = [sys.executable, "examples/02-call-a-daemon/call_pdm.py", str(shared.folder), "example"]
    for _ in range(2):  # it leaves things as it found them
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
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

"""The simulated cloud by itself: names, quotas, stock, faults, addresses, deaths."""

import errno
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import catalyst_cloud_sandbox
import pytest
from catalyst_cloud_sandbox import addresses, faults, keeper, processes
from catalyst_cloud_sandbox.__main__ import main
from catalyst_cloud_sandbox.account import Account
from catalyst_cloud_sandbox.rejections import Rejected

SERVER = {"size": "sb16", "role": "worker", "pool": "w", "network": "net", "subnet": "10.0.1.0/24"}


def add(sandbox, effect: str, **match) -> None:
    with sandbox.account.store.begin() as tx:
        faults.add(tx, faults.Fault(effect, **match))


def create(account: Account, name: str, kind: str = "network", region: str = "east", **spec):
    return account.create(kind=kind, name=name, region=region, labels={}, spec=spec)


def test_a_name_is_held_once_and_ids_are_never_used_again(sandbox) -> None:
    account = sandbox.account
    first = create(account, "net")
    with pytest.raises(Rejected, match="uniqueness_error"):
        create(account, "net")
    account.delete(first.id)
    assert create(account, "net").id != first.id


def test_every_resource_is_marked_simulated(sandbox) -> None:
    made = create(sandbox.account, "net")
    assert made.labels == {"simulated": "true"}
    assert made.spec["simulated"] is True


def test_a_network_in_use_is_protected(sandbox) -> None:
    account = sandbox.account
    network = create(account, "net")
    create(account, "one", "server", **SERVER)
    with pytest.raises(Rejected, match="resource_in_use"):
        account.delete(network.id)


def test_stock_and_quota_end(sandbox) -> None:
    account = Account(sandbox.folder, "demo", {"network": 1})
    create(account, "net")
    with pytest.raises(Rejected, match="resource_limit_exceeded"):
        create(account, "other")
    create(account, "elsewhere", region="west")
    for number in range(20):
        create(account, f"s{number}", "server", **SERVER)
    with pytest.raises(Rejected, match="resource_unavailable"):
        create(account, "s20", "server", **SERVER)


def test_private_addresses_are_unique_and_never_the_gateway(sandbox) -> None:
    made = [create(sandbox.account, f"s{n}", "server", **SERVER).spec["private_ip"] for n in range(3)]
    assert made == ["10.0.1.2", "10.0.1.3", "10.0.1.4"]


def test_load_balancers_never_share_an_address(sandbox) -> None:
    def make(number: int) -> str:
        return str(create(sandbox.account, f"lb{number}", "load_balancer").spec["ipv4"])

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(make, range(16)))
    assert len(set(given)) == 16
    assert all(address.startswith("127.7.") for address in given)


def test_an_address_on_which_somebody_listens_is_not_given(sandbox) -> None:
    address, port = addresses.allocate(sandbox.folder, [])
    with socket.create_server((address, port)):
        assert addresses.allocate(sandbox.folder, [])[0] != address
    assert addresses.allocate(sandbox.folder, [address])[0] != address


def test_where_the_system_keeps_port_80_the_listener_takes_8080(sandbox) -> None:
    def not_root(address: str, port: int) -> int | None:
        return errno.EACCES if port < 1024 else addresses.fault_of(address, port)

    assert addresses.allocate(sandbox.folder, [], not_root)[1] == 8080


def test_where_there_is_only_one_loopback_address_none_is_given(sandbox) -> None:
    with pytest.raises(addresses.NoAddress):
        addresses.allocate(sandbox.folder, [], lambda address, port: errno.EADDRNOTAVAIL)


def test_a_fault_meets_the_calls_that_match_as_often_as_it_was_asked_for(sandbox) -> None:
    add(sandbox, "server_error", kind="network", region="west", name="n*", times=2)
    account = sandbox.account
    create(account, "net")
    create(account, "m", region="west")
    for _ in range(2):
        with pytest.raises(Rejected, match="server_error"):
            create(account, "n", region="west")
    create(account, "n", region="west")


def test_a_slow_call_takes_its_delay(sandbox) -> None:
    add(sandbox, "slow", delay=0.2)
    ended = threading.Event()
    worker = threading.Thread(target=lambda: (create(sandbox.account, "net"), ended.set()))
    worker.start()
    assert not ended.wait(0.1)
    worker.join()
    assert ended.is_set()


@pytest.mark.parametrize("kind", ["network", "load_balancer", "server"])
def test_a_caller_killed_right_after_a_create_leaves_one_resource_and_the_keeper_its_process(sandbox, kind) -> None:
    add(sandbox, "crash_after_create", kind=kind)
    told = {"endpoint": "127.0.0.1:1", "cluster": "sovereigns/x/clusters/y", "token": "t", "time_scale": 0.01}
    spec = {**SERVER, "user_data": json.dumps(told)} if kind == "server" else {}
    code = (
        "import sys, json; from pathlib import Path; from catalyst_cloud_sandbox.account import Account\n"
        "kind, spec = json.loads(sys.argv[2])\n"
        "Account(Path(sys.argv[1]), 'demo').create(kind=kind, name='n', region='east', labels={}, spec=spec)"
    )
    child = subprocess.run([sys.executable, "-c", code, str(sandbox.folder), json.dumps([kind, spec])], check=False)
    assert child.returncode == -signal.SIGKILL
    assert [(r.kind, r.name) for r in sandbox.account.resources()] == [(kind, "n")]
    before = [server.pid for server in keeper.status(sandbox.folder)]
    assert before == ([None] if kind == "server" else [])
    keeper.keep(sandbox.folder)
    assert all(server.pid for server in keeper.status(sandbox.folder))


def test_a_process_without_a_server_is_ended_by_the_keeper(sandbox) -> None:
    told = {"endpoint": "127.0.0.1:1", "cluster": "c", "token": "t"}
    server = create(sandbox.account, "n", "server", **SERVER, user_data=json.dumps(told))
    place = processes.place(sandbox.account.folder, server.id)
    assert processes.pid(place)
    with sandbox.account.store.begin() as tx:  # the caller died between the row and the process
        tx.delete(server.id)
    assert keeper.keep(sandbox.folder) == [server.id]
    assert processes.pid(place) is None
    assert not place.exists()


def test_parallel_creates_and_keepers_never_end_each_others_processes(sandbox) -> None:
    told = json.dumps({"endpoint": "127.0.0.1:1", "cluster": "c", "token": "t"})

    def make(number: int) -> None:
        create(sandbox.account, f"n{number}", "server", **{**SERVER, "size": "sb2"}, user_data=told)
        keeper.keep(sandbox.folder)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(6)))
    pids = [server.pid for server in keeper.status(sandbox.folder)]
    assert all(pids)
    assert len(set(pids)) == 6


def test_what_an_agent_is_told_is_readable_by_nobody_else(sandbox) -> None:
    told = json.dumps({"endpoint": "127.0.0.1:1", "cluster": "c", "token": "t"})
    server = create(sandbox.account, "n", "server", **SERVER, user_data=told)
    place = processes.place(sandbox.account.folder, server.id)
    assert (place / processes.DESCRIPTION).stat().st_mode & 0o77 == 0
    assert (sandbox.account.folder / "cloud.sqlite3").stat().st_mode & 0o77 == 0


def test_an_agent_gets_nothing_of_its_starters_environment_but_a_few_names(sandbox, monkeypatch) -> None:
    monkeypatch.setenv("CATALYST_PROVISIONER_DATABASE_URL", "canary")
    told = json.dumps({"endpoint": "127.0.0.1:1", "cluster": "c", "token": "t"})
    create(sandbox.account, "n", "server", **SERVER, user_data=told)
    environment = Path(f"/proc/{keeper.status(sandbox.folder)[0].pid}/environ").read_bytes()
    assert b"canary" not in environment
    assert b"GRPC_VERBOSITY" in environment


def test_the_command_line_manages_faults_and_power(sandbox, capsys) -> None:
    folder = str(sandbox.folder)
    options = ["--folder", folder, "-o", "json"]
    assert main(["fault", "list", "--account", "demo", *options]) == 3
    assert "no simulated account demo" in capsys.readouterr().err
    assert main(["fault", "add", "capacity", "--account", "demo", "--kind", "server", *options]) == 0
    assert json.loads(capsys.readouterr().out)[0]["effect"] == "capacity"
    with pytest.raises(Rejected, match="resource_unavailable"):
        create(sandbox.account, "n", "server", **SERVER)
    create(sandbox.account, "n", "server", **SERVER, user_data='{"endpoint": "x", "cluster": "c", "token": "t"}')
    assert main(["power-off", *options]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
    assert main(["status", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(server["pid"], server["powered"]) for server in found["servers"]] == [(None, False)]
    assert [(r["kind"], r["name"], "user_data" in r["spec"]) for r in found["resources"]] == [("server", "n", False)]
    assert main(["power-on", *options]) == 0
    assert main(["fault", "clear", "--account", "demo", *options]) == 0


@pytest.mark.parametrize("name", ["../x", "A", "", "a/b"])
def test_the_name_of_an_account_cannot_leave_the_folder(sandbox, name, capsys) -> None:
    with pytest.raises(SystemExit) as usage:
        main(["fault", "add", "slow", "--account", name, "--folder", str(sandbox.folder)])
    assert usage.value.code == 2
    assert not list(sandbox.folder.iterdir())


def test_a_cluster_has_one_way_in_however_often_it_is_asked_for(sandbox) -> None:
    first = catalyst_cloud_sandbox.way_in(sandbox.folder, account="demo", cluster="sb-east-rtz-dev", region="east")
    again = catalyst_cloud_sandbox.way_in(sandbox.folder, account="demo", cluster="sb-east-rtz-dev", region="east")
    west = catalyst_cloud_sandbox.way_in(sandbox.folder, account="demo", cluster="sb-west-rtz-dev", region="west")
    assert first == again
    assert west[0] != first[0]
    assert [r.kind for r in sandbox.account.all()] == ["network", "load_balancer"] * 2


def test_what_is_eventual_is_shown_later_and_holds_its_name_at_once(sandbox) -> None:
    account = sandbox.account
    add(sandbox, "eventual", kind="network", delay=3600)
    made = create(account, "net")
    assert (account.named("network", "net"), account.resources()) == (None, [])
    with pytest.raises(Rejected, match="uniqueness_error"):
        create(account, "net")
    with account.store.begin() as tx:
        tx.update(made.id, spec={**made.spec, "seen_from": 0.0}, powered=True)
    assert [resource.id for resource in account.resources()] == [made.id]


def test_others_make_and_change_things_beside_us(sandbox) -> None:
    account = sandbox.account
    add(sandbox, "orphan", name="net")
    add(sandbox, "tamper", name="fw")
    network = create(account, "net")
    firewall = create(account, "fw", "firewall", ssh_from=[])
    assert [(r.kind, r.labels) for r in account.resources() if r.kind == "volume"] == [("volume", network.labels)]
    changed = account.named("firewall", "fw")
    assert changed is not None
    assert (firewall.spec["ssh_from"], changed.spec["ssh_from"]) == ([], ["0.0.0.0/0"])


@pytest.mark.parametrize(("effect", "code"), [("auth", "unauthorized"), ("partition", "unreachable")])
def test_a_call_that_is_refused_or_does_not_arrive_makes_nothing(sandbox, effect: str, code: str) -> None:
    add(sandbox, effect, operation="", times=2)
    for call in (lambda: create(sandbox.account, "net"), sandbox.account.resources):
        with pytest.raises(Rejected, match=code):
            call()
    assert sandbox.account.resources() == []


def test_the_same_seed_is_the_same_sequence_and_one_call_can_be_meant(sandbox) -> None:
    def outcomes(**about) -> list[bool]:
        add(sandbox, "server_error", kind="volume", times=-1, **about)
        met = []
        for number in range(24):
            try:
                create(sandbox.account, f"v{number}-{len(sandbox.account.all())}", "volume")
                met.append(False)
            except Rejected:
                met.append(True)
        sandbox.account.disarm()
        return met

    first = outcomes(probability=0.5, seed=7)
    assert first == outcomes(probability=0.5, seed=7)
    assert first != outcomes(probability=0.5, seed=8)
    assert 4 < sum(first) < 20
    assert [n for n, met in enumerate(outcomes(nth=3), 1) if met] == [3]


def test_a_store_of_the_release_before_goes_on(tmp_path) -> None:
    """Its faults have no seed."""
    account = Account(tmp_path, "demo")
    create(account, "net")
    file = tmp_path / "accounts" / "demo" / "cloud.sqlite3"
    with sqlite3.connect(file) as db:
        for column in ("probability", "seed", "nth", "matched"):
            db.execute(f"ALTER TABLE faults DROP COLUMN {column}")
        db.execute("INSERT INTO faults (operation, kind, region, name, effect, times, delay) "
                   "VALUES ('create', '', '', '', 'quota', 1, 1)")  # fmt: skip
        db.execute("PRAGMA user_version=1")
    db.close()
    after = Account(tmp_path, "demo")
    with pytest.raises(Rejected, match="resource_limit_exceeded"):
        create(after, "other")
    assert [resource.name for resource in after.resources()] == ["net"]

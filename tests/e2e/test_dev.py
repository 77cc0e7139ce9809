"""`catalyst dev` itself: started twice, on taken ports, killed, stopped."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import psutil

from .devs import Dev


def test_a_second_start_shows_what_runs_and_is_no_error(shared: Dev) -> None:
    second = shared.command(*shared.arguments())
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["pid"] == shared.state["pid"]


def test_a_taken_port_names_its_holder_and_starts_nothing(folder: Path) -> None:
    dev = Dev(folder / "data")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", dev.base + 6))
        holder.listen()
        answer = dev.command(*dev.arguments())
    assert answer.returncode == 1
    assert f"pid {os.getpid()}" in answer.stderr
    assert "--port-base" in answer.stderr
    assert dev.processes() == []


def test_it_is_killed_started_stopped_started_and_cleaned_and_nothing_is_left_by_any_of_them(folder: Path) -> None:
    dev = Dev(folder / "data")
    dev.start()
    killed = {p.pid for p in dev.processes()}
    assert dev.process is not None
    os.kill(dev.state["pid"], signal.SIGKILL)
    dev.process.wait()

    dev.start()  # it finds a clean place
    dev.until(lambda: not [pid for pid in killed if psutil.pid_exists(pid)], 30, "what the killed dev left is gone")
    stopped = dev.processes()
    assert len(stopped) >= 12
    dev.stop()
    assert [p for p in stopped if p.is_running()] == []

    dev.start()  # the data is still there
    assert dev.command("name", "check", "free.omani.works").returncode == 0
    answer = dev.command("dev", "--clean", "--data-dir", str(dev.folder))
    assert answer.returncode == 0, answer.stderr
    assert not dev.folder.exists()
    dev.process.wait(30)  # it let go of its lock and has its interpreter's own end before it
    assert dev.processes() == []
    dev.stop()


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
        "plugins/lease_witness:cloudflare",
        *(f"plugins/database_promoter:{name}" for name in ("cnpg", "demo", "postgres", "stateless")),
    }  # fmt: skip
    assert {row["state"] for row in rows} == {"STATE_ACTIVE", "STATE_DISABLED"}


def test_a_cell_is_killed_frozen_wiped_and_started_by_hand(shared: Dev) -> None:
    def identity(address: str) -> str:
        host, port = address.split(":")
        query = dns.message.make_query("_cell.witness.test", "TXT")
        return str(dns.query.tcp(query, host, timeout=10, port=int(port)).answer[0][0])

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
    shared.until(lambda: _answered(identity, known["address"]) == first, 30, "it has what it acknowledged")
    assert done("pause")["state"] == "frozen"
    assert done("resume")["state"] == "up"
    assert done("wipe")["pid"] != known["pid"]
    shared.until(lambda: _answered(identity, known["address"]) not in ("", first), 30, "another identity")
    unknown = shared.command("dev", "cell", "kill", "cell-9")
    assert (unknown.returncode, "cell-1, cell-2, cell-3" in unknown.stderr) == (4, True)


def _answered(ask: Callable[[str], str], address: str) -> str:
    try:
        return ask(address)
    except OSError:
        return ""

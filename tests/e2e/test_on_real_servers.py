"""The main job with the pool on PowerDNS and the data on PostgreSQL: `catalyst dev --dns powerdns --database postgres`."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import httpx
import psutil
import pytest
from catalyst_testkit.servers import need

from .devs import EXAMPLE, VOUCHER, Dev

HOST = "console.omantel.omani.works"


@pytest.fixture
def on_powerdns(folder: Path) -> Iterator[Dev]:
    need("pdns_server", package="pdns-server")
    dev = Dev(folder, options=("--dns", "powerdns", "--database", "postgres"))
    dev.start()
    yield dev
    dev.stop()


def asked(address: str, name: str, kind: str) -> dns.message.Message:
    """The answer of one server, asked directly."""
    host, _, port = address.rpartition(":")
    query = dns.message.make_query(name, kind, want_dnssec=True)
    return asyncio.run(dns.asyncquery.udp(query, host, timeout=30, port=int(port)))


def zones(dev: Dev) -> list[dict[str, Any]]:
    """What PowerDNS itself says that it has."""
    settings = dict(line.split("=", 1) for line in (dev.folder / "powerdns/pdns.conf").read_text().splitlines())
    url = f"http://127.0.0.1:{settings['webserver-port']}/api/v1/servers/localhost/zones"
    with httpx.Client(headers={"X-API-Key": settings["api-key"]}, timeout=60) as http:
        return [http.get(f"{url}/{zone['id']}").json() for zone in http.get(url).json()]


def is_secure(dev: Dev) -> bool:
    """Whether the name is answered by PowerDNS, and every link from the embedded root on is signed."""
    seen = asyncio.run(dev.resolver.resolve(HOST))
    return seen.secure and bool(seen.records) and seen.servers == (f"ns1.omani.works. {dev.state['powerdns']}",)


def test_a_sovereign_lives_and_goes_with_its_zone_on_powerdns_and_its_data_on_postgresql(on_powerdns: Dev) -> None:
    dev = on_powerdns
    born = dev.command("sovereign", "create", "--file", str(EXAMPLE), "--voucher", VOUCHER, "--yes", "--output", "json")
    assert born.returncode == 0, born.stderr[-3000:]
    assert json.loads(born.stdout)["state"] == "STATE_ACTIVE"
    assert is_secure(dev)
    dev.api.post("/v1/pools/omani.works/allocations:reserve", {"label": "kept", "owner": "organizations/kept"})
    assert {zone["name"] for zone in zones(dev)} == {"omani.works.", "omantel.omani.works."}
    assert asked(dev.state["powerdns"], HOST, "A").flags & dns.flags.AA
    assert not asked(dev.state["dns"], HOST, "A").flags & dns.flags.AA, "the embedded server only points to the pool"
    if os.geteuid() == 0:
        assert psutil.Process(dev.pid("powerdns")).uids().real == 65534

    os.kill(dev.pid("powerdns"), signal.SIGKILL)
    dev.until(lambda: is_secure(dev), 60, "PowerDNS is back with its zones")
    dev.stop()
    assert dev.processes() == []
    refused = dev.command("dev", "--port-base", str(dev.base), "--data-dir", str(dev.folder))
    assert refused.returncode == 1
    assert "start with `--dns powerdns`" in refused.stderr
    dev.options = ("--dns", "powerdns")  # the folder knows where its data lies
    dev.start()
    assert is_secure(dev), "zones and keys survive a restart"
    assert "postgresql://" in dev.state["database"]
    os.kill(dev.pid("postgres"), signal.SIGKILL)
    dev.until(partial(kept, dev), 60, "PostgreSQL came back with all that was in it")

    gone = dev.command("sovereign", "destroy", "omantel", "--yes", "--output", "json")
    assert gone.returncode == 0, gone.stderr[-3000:]
    (pool,) = zones(dev)
    assert pool["name"] == "omani.works."
    assert [r["name"] for r in pool["rrsets"] if "omantel" in r["name"]] == []
    assert asked(dev.state["powerdns"], HOST, "A").rcode() == dns.rcode.NXDOMAIN
    started = dev.processes()
    assert any(process.name() == "pdns_server" for process in started)
    assert dev.command("dev", "--clean", "--data-dir", str(dev.folder)).returncode == 0
    assert not dev.folder.exists()
    assert dev.processes() == []
    dev.stop()
    assert [process for process in started if process.is_running()] == []


def kept(dev: Dev) -> bool:
    """Whether what was reserved can be read."""
    rows = dev.api.get("/v1/pools/omani.works/allocations")["allocations"]
    return "kept" in [row["name"].rsplit("/", 1)[-1] for row in rows]

"""A tiny Internet on loopback: a root, and the servers of `test.`, each with an opinion of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from catalyst_registrar_manual.plugin import ManualRegistrar, catalyst_plugin
from catalyst_sdk.context import PluginContext
from catalyst_testkit.registrar_bench import RegistrarBench


class NameServer(asyncio.DatagramProtocol):
    """Answers from sets of records; a set of another name than asked for is a referral or glue."""

    def __init__(self) -> None:
        self.sets: dict[tuple[str, str], tuple[str, ...]] = {}
        self.glue: dict[str, tuple[str, ...]] = {}
        self.silent = False
        self.rcode = dns.rcode.NOERROR
        self.recursion_wished = False

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    @property
    def place(self) -> str:
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self.recursion_wished |= bool(query.flags & dns.flags.RD)
        if not self.silent:
            self._transport.sendto(self._answer(query).to_wire(), addr)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.set_rcode(self.rcode)
        if not self.rcode:
            answer.flags |= dns.flags.AA
        name, kind = str(query.question[0].name), dns.rdatatype.to_text(query.question[0].rdtype)
        data = self.sets.get((name, kind))
        if data:
            (answer.authority if kind == "NS" else answer.answer).append(
                dns.rrset.from_text(name, 60, "IN", kind, *data)
            )
            for host, addresses in self.glue.items():
                answer.additional.append(dns.rrset.from_text(host, 60, "IN", "A", *addresses))
        elif not any(known != "." and known.endswith(name) for known, _ in self.sets):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


class Internet:
    """The root, two servers of `test.`, and the registrar that asks them."""

    def __init__(self, folder: Path, servers: Mapping[str, NameServer]) -> None:
        self.folder = folder
        self.root, self.one, self.two = servers["root"], servers["one"], servers["two"]
        self.root.sets[(".", "NS")] = ("root.",)
        self.root.sets[("test.", "NS")] = ("ns1.test.", "ns2.test.")
        hints = {"ns1.test.": self.one.place, "ns2.test.": self.two.place}
        (folder / "hints.json").write_text(json.dumps({"root.": self.root.place, **hints}))

    @property
    def glue(self) -> Mapping[str, tuple[str, ...]]:
        """Addresses that both servers of the parent tell with a referral."""
        return self.one.glue

    @glue.setter
    def glue(self, told: Mapping[str, tuple[str, ...]]) -> None:
        self.one.glue = self.two.glue = dict(told)

    def registrar(self) -> ManualRegistrar:
        config = {"hints": str(self.folder / "hints.json"), "query_seconds": 0.3}
        return catalyst_plugin(PluginContext(None, None, None, self.folder / "manual", config))  # type: ignore[arg-type]

    def delegate(self, *ns: str, ds: tuple[str, ...] = (), by: tuple[NameServer, ...] = ()) -> None:
        """Let the parent's servers say so; `by` only some of them."""
        for server in by or (self.one, self.two):
            server.sets[("acme.test.", "NS")] = ns
            server.sets.pop(("acme.test.", "DS"), None)
            if ds:
                server.sets[("acme.test.", "DS")] = ds


@pytest.fixture
async def internet(tmp_path: Path) -> AsyncIterator[Internet]:
    loop = asyncio.get_running_loop()
    servers, transports = {}, []
    for name in ("root", "one", "two"):
        transport, servers[name] = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
        transports.append(transport)
    yield Internet(tmp_path, servers)
    for transport in transports:
        transport.close()


@pytest.fixture
async def bench(internet: Internet) -> RegistrarBench:
    """The registrar, and a person who does at once what the newest task says."""

    def person() -> None:
        tasks = sorted((internet.folder / "manual" / "tasks").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        if tasks:
            wish = json.loads(tasks[-1].read_text())["target"]
            internet.glue = {one["host"]: tuple(one["addresses"]) for one in wish["glue"]}
            ds = tuple(f"{d['key_tag']} {d['algorithm']} {d['digest_type']} {d['digest']}" for d in wish["ds"])
            internet.delegate(*wish["ns"], ds=ds)

    return RegistrarBench(
        make=lambda _: internet.registrar(),
        show=lambda ns: internet.delegate(*ns),
        finish=person,
        writes=lambda: None,
        domain="acme.test",
    )  # fmt: skip - one bench

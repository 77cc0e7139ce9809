"""The backend, as its contract has it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from catalyst_dns_embedded import plugin as module
from catalyst_dns_embedded.client import ControlClient
from catalyst_dns_embedded.plugin import EmbeddedBackend
from catalyst_sdk import Permanent, Temporary, load_manifest
from catalyst_sdk.dns import Capability, Change, DnsBackend, KeyOp, ZoneSpec
from catalyst_testkit.dns_backend_suite import DnsBackendSuite
from catalyst_testkit.servers import free_port

from .conftest import POOL, Server


class TestConformance(DnsBackendSuite):
    """The suite that every DNS backend passes."""

    @pytest.fixture
    def plugin(self, shared: Server) -> DnsBackend:
        return shared.backend


async def test_the_manifest_claims_what_the_server_can_do(shared: Server) -> None:
    manifest = load_manifest(Path(module.__file__).with_name("manifest.toml"))
    assert set(manifest.capabilities) == await shared.backend.probe() == (await shared.backend.info()).capabilities


async def test_nobody_else_may_read_the_token_or_the_keys(shared: Server) -> None:
    for name in ("control.token", "zones.sqlite3"):
        assert stat.S_IMODE(os.stat(shared.folder / name).st_mode) == 0o600, name


async def test_a_caller_with_another_token_is_told_what_to_do(shared: Server, tmp_path: Path) -> None:
    (tmp_path / "control.token").write_text("0" * 64)
    stranger = EmbeddedBackend(ControlClient(shared.control, tmp_path))
    with pytest.raises(Permanent) as refused:
        await stranger.get_zone(zone=POOL)
    assert refused.value.reason == "CREDENTIALS_REJECTED"
    assert "data" in refused.value.user_action


async def test_a_call_that_nobody_knows_is_refused_and_the_server_goes_on(shared: Server) -> None:
    client = ControlClient(shared.control, shared.folder)
    for name, args in (("nosuch", {}), ("get", {}), ("get", {"zone": POOL, "more": 1}), ("apply", {"zone": POOL})):
        with pytest.raises(Permanent) as refused:
            await client.call(name, **args)
        assert refused.value.reason == "CALL_INVALID", name
    assert await shared.backend.get_zone(zone=POOL)


async def test_a_server_that_is_away_is_temporary(tmp_path: Path) -> None:
    (tmp_path / "control.token").write_text("0" * 64)
    nobody = EmbeddedBackend(ControlClient(f"127.0.0.1:{free_port()}", tmp_path))
    with pytest.raises(Temporary):
        await nobody.probe()


async def test_a_private_key_never_leaves_the_server(shared: Server) -> None:
    state = await ControlClient(shared.control, shared.folder).call("get", zone=POOL)
    assert "PRIVATE" not in repr(state)
    assert set(state["keys"][0]) == {"tag", "algorithm", "active", "dnskey", "ds"}


async def test_a_key_that_the_parent_names_is_not_taken_away(server: Server) -> None:
    backend = server.backend
    for op in (KeyOp.DISABLE, KeyOp.PUBLISH):
        if op is KeyOp.PUBLISH:
            state = await backend.dnssec(zone=POOL, op=op)
            op, tag = KeyOp.ACTIVATE, next(key.tag for key in state.keys if not key.active)
        with pytest.raises(Permanent) as refused:
            await backend.dnssec(zone=POOL, op=op, tag=tag if op is KeyOp.ACTIVATE else None)
        assert refused.value.reason == "PROTECTED_RECORD"
    assert (await server.validated(POOL, "SOA")).secure


async def test_what_was_acknowledged_survives_kill_9(server: Server) -> None:
    zones = [f"z{n}.omani.works." for n in range(5)]
    states = {}
    for name in zones:
        await server.backend.create_zone(spec=ZoneSpec(name, ("ns1.omani.works.",), "organizations/one"))
        change = Change(f"console.{name}", "A", 60, ("127.7.0.1",))
        states[name] = await server.backend.apply(zone=name, changes=(change,), revision=2)
    await server.backend.delete_zone(zone=zones[0], owner="organizations/one")
    server.kill()
    server.start()
    assert await server.backend.get_zone(zone=zones[0]) is None
    for name in zones[1:]:
        assert await server.backend.get_zone(zone=name) == states[name]


def test_a_second_server_on_one_folder_does_not_start(shared: Server) -> None:
    command = [sys.executable, "-m", "catalyst_dns_embedded", "serve", "--data", str(shared.folder),
               "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "another server works in" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [("--listen", "0.0.0.0:0", "loopback"), ("--listen", "x", "invalid"), ("--tree", "a..b", "no domain name")],
)
def test_a_wrong_command_line_is_one_sentence(tmp_path: Path, option: str, value: str, word: str) -> None:
    options = {"--data": str(tmp_path), "--listen": "127.0.0.1:0", "--control": "127.0.0.1:0", option: value}
    command = [sys.executable, "-m", "catalyst_dns_embedded", "serve", *(x for pair in options.items() for x in pair)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert word in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_the_server_claims_no_transfers(shared: Server) -> None:
    assert Capability.AXFR not in await shared.backend.probe()
    assert "REFUSED" in str(await shared.ask(POOL, "AXFR", tcp=True))

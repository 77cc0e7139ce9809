"""A real PowerDNS for tests: SQLite behind it, its HTTP API before it, started on loopback as nobody."""

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dns.asyncquery
import dns.message
import httpx

from .servers import NOBODY, drop, folder, free_port, need
from .waiting import eventually_sync

SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
API_KEY = "k3y-of-a-test"
_SETTINGS = {
    "launch": "gsqlite3", "gsqlite3-dnssec": "yes", "gsqlite3-pragma-journal-mode": "WAL",
    "gsqlite3-pragma-synchronous": "0",  # for tests only: what a power failure would lose
    "daemon": "no", "guardian": "no", "disable-syslog": "yes", "security-poll-suffix": "",
    "api": "yes", "webserver": "yes", "webserver-address": "127.0.0.1", "webserver-allow-from": "127.0.0.0/8",
    "local-address": "127.0.0.1", "allow-axfr-ips": "", "direct-dnskey": "yes",
    # A test asks right after it wrote.
    "zone-cache-refresh-interval": "0", "cache-ttl": "0", "query-cache-ttl": "0", "negquery-cache-ttl": "0",
}  # fmt: skip


class PowerDnsServer:
    """One pdns_server in a folder of its own; a restarted one keeps ports and zones.

    settings   go before the usual ones, with underscores (`gsqlite3_dnssec="no"`)
    """

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.port = 0
        self.api_port = 0
        self.api_key = API_KEY
        """Another one counts from the next start on."""
        self._settings = {name.replace("_", "-"): value for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it answers DNS, `ip:port`, by UDP and TCP."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Base of its API."""
        return f"http://127.0.0.1:{self.api_port}/api/v1/servers/localhost"

    def start(self) -> None:
        """Start, or start again after a stop or a kill; returns when the API answers."""
        for _ in range(3):  # somebody may take a port between our look and the server's
            self.port, self.api_port = self.port or free_port(), self.api_port or free_port()
            self._launch()
            if eventually_sync(self._answers_or_ended, within=60, what="PowerDNS answers") == "up":
                return
            self.port = self.api_port = 0
        raise AssertionError(f"PowerDNS does not start:\n{self.log()[-2000:]}")

    def stop(self) -> None:
        """End it in peace. Its exit code is that of the signal: that is how it ends."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Stop and start again on the same ports."""
        self.stop()
        self.start()

    def log(self) -> str:
        """What it wrote until now."""
        return (self.home / "log").read_text(errors="replace")

    def api(self, method: str, path: str, body: object = None) -> httpx.Response:
        """One call of the API, as a stranger makes it: to look, to plant, to spoil."""
        return httpx.request(
            method,
            self.url + path,
            json=body,
            headers={"X-API-Key": self.api_key},
            timeout=60,
            verify=False,  # noqa: S501 - no TLS here, and to read all authorities of the world takes 25 ms
        )  # fmt: skip - one call

    async def ask(self, name: str, kind: str, *, tcp: bool = False) -> dns.message.Message:
        """One question, with DNSSEC records asked for."""
        query = dns.message.make_query(name, kind, want_dnssec=True)
        if tcp:
            return await dns.asyncquery.tcp(query, "127.0.0.1", timeout=30, port=self.port)
        answer, _ = await dns.asyncquery.udp_with_fallback(query, "127.0.0.1", timeout=30, port=self.port)
        return answer

    def _launch(self) -> None:
        binary = need("pdns_server", package="pdns-server")
        self._prepare()
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*drop(), binary, f"--config-dir={self.home}"], cwd=self.home, stdout=log, stderr=log
            )

    def _prepare(self) -> None:
        database = self.home / "pdns.sqlite3"
        settings = {
            **_SETTINGS, "gsqlite3-database": str(database), "socket-dir": str(self.home), "api-key": self.api_key,
            "local-port": str(self.port), "webserver-port": str(self.api_port), **self._settings,
        }  # fmt: skip
        (self.home / "pdns.conf").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        if not database.exists():
            if not SCHEMA.exists():
                need(str(SCHEMA), package="pdns-backend-sqlite3")
            with closing(sqlite3.connect(database)) as sql:
                sql.executescript(SCHEMA.read_text())
        if os.geteuid() == 0:
            os.chown(database, NOBODY, NOBODY)

    def _answers_or_ended(self) -> str:
        assert self._process is not None
        if self._process.poll() is not None:
            return "ended"
        try:
            return "up" if self.api("GET", "").status_code == 200 else ""
        except httpx.TransportError:
            return ""


@contextmanager
def powerdns_server(**settings: str) -> Iterator[PowerDnsServer]:
    """A running server for the block."""
    home = folder()
    server = PowerDnsServer(home, **settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)

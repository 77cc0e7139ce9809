"""A real BIND for tests: zones are made over its control channel, changed by UPDATE, and signed by its own policy."""

import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from .nameservers import UPDATE_KEY, UPDATE_SECRET, NameServer, running
from .servers import free_port, need

POLICY = "csk"
"""Name of the signing policy: one key, algorithm 13, NSEC3 without salt or iterations."""
_CONFIG = """
options {{
  directory "{home}"; pid-file "{home}/named.pid"; session-keyfile "{home}/session.key"; lock-file none;
  managed-keys-directory "{home}"; key-directory "{home}"; listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no; allow-new-zones yes;
}};
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
key "control" {{ algorithm hmac-sha256; secret "{secret}"; }};
controls {{ inet 127.0.0.1 port {control} allow {{ 127.0.0.1; }} keys {{ "control"; }}; }};
dnssec-policy "{policy}" {{
  keys {{ csk lifetime unlimited algorithm ecdsap256sha256; }}; nsec3param iterations 0 optout no salt-length 0;
}};
"""
_CONTROL = """
key "control" {{ algorithm hmac-sha256; secret "{secret}"; }};
options {{ default-server 127.0.0.1; default-port {control}; default-key "control"; }};
"""


class BindServer(NameServer):
    """One named, with a control channel. Take zones of your own."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.control_port = 0

    @property
    def rndc_config(self) -> Path:
        """Configuration of `rndc`: where the control channel is, and the key that opens it."""
        return self.home / "rndc.conf"

    def prepare(self) -> list[str]:
        binary = need("named", package="bind9")
        if not self.port:
            self.port, self.control_port = free_port(), free_port()
        values = {
            "home": self.home, "port": self.port, "control": self.control_port, "key": UPDATE_KEY.rstrip("."),
            "secret": UPDATE_SECRET, "policy": POLICY,
        }  # fmt: skip
        (self.home / "named.conf").write_text(_CONFIG.format(**values))
        self.rndc_config.write_text(_CONTROL.format(**values))
        return [binary, "-g", "-4", "-n", "2", "-c", str(self.home / "named.conf")]

    def answers(self) -> bool:
        return self.rndc("status").returncode == 0

    def rndc(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """One command over the control channel, as a stranger gives it: to look, to plant, to spoil."""
        command = [need("rndc", package="bind9-utils"), "-c", str(self.rndc_config), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def bind_server() -> AbstractContextManager[BindServer]:
    """A running server for the block."""
    return running(BindServer)

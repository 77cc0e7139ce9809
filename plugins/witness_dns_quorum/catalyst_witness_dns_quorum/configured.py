"""What the configuration of a witness says: its cells, where they answer, and the keys that may change them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.name
import dns.tsig

PROVIDER = "dns_quorum"


@dataclass(frozen=True, slots=True)
class Server:
    """One cell: where it answers, the zone that it serves, the key that may change it."""

    address: tuple[str, int]
    zone: dns.name.Name
    key: dns.tsig.Key
    transport: str


@dataclass(frozen=True, slots=True)
class Configured:
    """What the configuration says, read and checked."""

    servers: Mapping[str, Server]
    timeout: float


def configured(config: Mapping[str, Any]) -> Configured:
    """Read the configuration and the key files. Raises OSError where one cannot be read."""
    return Configured(
        servers={cell["name"]: _server({**config, **cell}) for cell in config["cells"]},
        timeout=float(config.get("op_timeout_seconds", 1.0)),
    )


def _server(config: Mapping[str, Any]) -> Server:
    # As `nsupdate -y` has it, `name:secret`, or the secret alone; base64 has no colon.
    said, _, secret = Path(config["tsig_key_file"]).read_text().strip().rpartition(":")
    name = said.rpartition(":")[2] or config.get("tsig_key_name", "catalyst-witness")
    return Server(
        address=_address(config["address"]),
        zone=dns.name.from_text(config.get("zone", "witness.test")),
        key=dns.tsig.Key(dns.name.from_text(name), secret, dns.tsig.HMAC_SHA256),
        transport=config.get("transport", "tcp"),
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)

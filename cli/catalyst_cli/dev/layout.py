"""Where everything of `catalyst dev` lies and listens: one port base and one folder decide all of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("catalog", "provisioner", "pdm", "continuum", "billing", "gateway")
PACKAGES = {
    "catalog": "catalyst_catalog",
    "provisioner": "catalyst_provisioner",
    "pdm": "catalyst_pool_domain_manager",
    "continuum": "catalyst_continuum",
    "billing": "catalyst_billing",
    "gateway": "catalyst_gateway",
}
CELLS = ("cell-1", "cell-2", "cell-3")
_OFFSETS = {
    "gateway": 0,
    "catalog": 2,
    "provisioner": 4,
    "pdm": 6,
    "continuum": 8,
    "billing": 10,
    "nats": 20,
    "nats-monitor": 21,
    "dns": 30,
    "dns-control": 31,
    "cell-1": 32,
    "cell-2": 33,
    "cell-3": 34,
    "git": 40,
}  # fmt: skip - reads as a table


@dataclass(frozen=True, slots=True)
class Layout:
    """Ports from `base` on, files under `folder`."""

    folder: Path
    base: int = 7400
    pool: str = "omani.works"

    def port(self, name: str) -> int:
        """The port of a part."""
        return self.base + _OFFSETS[name]

    def side_port(self, daemon: str) -> int:
        """The second port of a daemon: metrics, liveness, readiness."""
        return self.port(daemon) + 1

    def address(self, name: str) -> str:
        """Host and port of a part; always loopback."""
        return f"127.0.0.1:{self.port(name)}"

    def ports(self) -> Iterator[tuple[str, int]]:
        """Every port that must be free, with the name of its part."""
        for name in _OFFSETS:
            yield name, self.port(name)
            if name in DAEMONS:
                yield f"{name} (side)", self.side_port(name)

    @property
    def gateway_url(self) -> str:
        """Where people and the command line connect."""
        return f"http://{self.address('gateway')}"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.folder / "logs"

    @property
    def issuer(self) -> Path:
        """The development issuer's keys."""
        return self.folder / "issuer"

    @property
    def tokens(self) -> Path:
        """Tokens of the daemons and of the operator, renewed while dev runs."""
        return self.folder / "tokens"

    @property
    def sandbox(self) -> Path:
        """The simulated cloud's store and its agents."""
        return self.folder / "provisioner" / "plugins" / "cloud_provider-sandbox"

    @property
    def dns(self) -> Path:
        """The embedded DNS server's store, its trust anchor and hints."""
        return self.folder / "dns"

    @property
    def state(self) -> Path:
        """What runs, for a second start and for other commands."""
        return self.folder / "dev.json"

    @property
    def children(self) -> Path:
        """Process ids, so that a start after kill -9 can end what was left."""
        return self.folder / "children.json"

    @property
    def lock(self) -> Path:
        """Held for as long as dev runs."""
        return self.folder / "dev.lock"

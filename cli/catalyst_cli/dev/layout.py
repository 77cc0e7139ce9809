"""Where everything of `catalyst dev` lies and listens: one port base and one folder decide all of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("catalog", "provisioner", "pdm", "continuum", "billing", "environment", "gateway")
PACKAGES = {
    "catalog": "catalyst_catalog",
    "provisioner": "catalyst_provisioner",
    "pdm": "catalyst_pool_domain_manager",
    "continuum": "catalyst_continuum",
    "billing": "catalyst_billing",
    "environment": "catalyst_environment",
    "gateway": "catalyst_gateway",
}
CELLS = ("cell-1", "cell-2", "cell-3")
AUTHORITIES = ("authority-1", "authority-2")
"""DNS servers of the demonstration's names, outside of all regions."""
REPLICAS = 3
"""The most replicas of each daemon."""
_OFFSETS = {
    "gateway": 0,
    "catalog": 2,
    "provisioner": 4,
    "pdm": 6,
    "continuum": 8,
    "billing": 10,
    "east": 12,
    "east-side": 13,
    "west": 14,
    "west-side": 15,
    "east-shop": 16,
    "west-shop": 17,
    "environment": 18,
    "nats": 20,
    "nats-monitor": 21,
    "control": 22,
    "sign-in": 23,
    "authority-1": 24,
    "authority-2": 25,
    "dns": 30,
    "dns-control": 31,
    "cell-1": 32,
    "cell-2": 33,
    "cell-3": 34,
    "powerdns": 35,
    "powerdns-api": 36,
    "git": 40,
    "postgres": 41,
    "applications-git": 42,
}  # fmt: skip - reads as a table
"""Where each part listens, from the base on. A daemon's second port follows its first. The second replica of a daemon
listens 50 higher, the third 70, at both ports; HTTP and Git are served by all replicas at the port of the first."""
_ONLY_WITH_REGIONS = (*AUTHORITIES, "east", "east-side", "east-shop", "west", "west-side", "west-shop")
_HIGHER = (0, 50, 70)
SPAN = 90
"""Every port lies so near to the base, however many replicas there are."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One process of a daemon."""

    daemon: str
    number: int
    name: str
    """`catalog`, or `catalog-1` where there are several."""


@dataclass(frozen=True, slots=True)
class Region:
    """One region of `--regions`: a host cluster, and the place in the simulated cloud where it stands."""

    cluster: str
    place: str

    def part(self, name: str) -> str:
        """Name of one of its processes, which its log bears too."""
        return f"{self.place}-{name}"


REGIONS = (Region("sb-east-rtz-dev", "east"), Region("sb-west-rtz-dev", "west"))
DAEMON = "continuum"
"""The part of a region that decides whether it may write."""
SHOP = "shop"
"""The part of a region that writes: an application with its database."""
DEMO, POSTGRES = "demo", "postgres"
"""What the regions' application keeps its rows in: a store of its own, or a PostgreSQL server in each region."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Ports from `base` on, files under `folder`."""

    folder: Path
    base: int = 7400
    pool: str = "omani.works"
    count: int = 1
    """Replicas of each daemon."""
    has_cluster: bool = False
    """Whether a PostgreSQL cluster of dev's own runs."""
    has_regions: bool = False
    """Whether there are regions with agents and an application of their own."""
    rows_in: str = DEMO
    """What that application keeps its rows in."""
    dns_server: str = "embedded"
    """Where the pool's zones lie: embedded or powerdns. Root and top level are always on the embedded server."""

    def replicas(self, daemon: str) -> list[Replica]:
        """The processes of a daemon."""
        numbers = range(1, self.count + 1)
        return [Replica(daemon, n, daemon if self.count == 1 else f"{daemon}-{n}") for n in numbers]

    def all_replicas(self) -> list[Replica]:
        """The processes of all daemons: first those of the first daemon."""
        return [replica for daemon in DAEMONS for replica in self.replicas(daemon)]

    def port(self, name: str, number: int = 1) -> int:
        """The port of a part, or of replica `number` of a daemon."""
        return self.base + _OFFSETS[name] + _HIGHER[number - 1]

    def side_port(self, replica: Replica) -> int:
        """The second port of a process: metrics, liveness, readiness."""
        return self.port(replica.daemon, replica.number) + 1

    def address(self, name: str, number: int = 1) -> str:
        """Host and port of a part; always loopback."""
        return f"127.0.0.1:{self.port(name, number)}"

    def target(self, daemon: str) -> str:
        """gRPC target of a daemon: all its replicas."""
        addresses = [self.address(daemon, replica.number) for replica in self.replicas(daemon)]
        return addresses[0] if self.count == 1 else f"ipv4:{','.join(addresses)}"

    def ports(self) -> Iterator[tuple[str, int]]:
        """Every port that must be free, with the name of its part."""
        for name in _OFFSETS:
            if name not in DAEMONS and self._has(name):
                yield name, self.port(name)
        yield "gateway", self.port("gateway")
        for replica in self.all_replicas():
            if replica.daemon != "gateway":
                yield replica.name, self.port(replica.daemon, replica.number)
            yield f"{replica.name} (side)", self.side_port(replica)

    def _has(self, name: str) -> bool:
        if name == "postgres":
            return self.has_cluster
        return self.has_regions or name not in _ONLY_WITH_REGIONS

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
    def sign_in(self) -> Path:
        """Keys and refresh tokens of the sign-in provider."""
        return self.folder / "sign-in"

    @property
    def sign_in_url(self) -> str:
        """The sign-in provider, as its tokens call it."""
        return f"http://{self.address('sign-in')}"

    @property
    def tokens(self) -> Path:
        """Tokens of the daemons and of the operator, renewed while dev runs."""
        return self.folder / "tokens"

    @property
    def control_token(self) -> Path:
        """What opens the control port."""
        return self.tokens / "control"

    @property
    def database(self) -> Path:
        """What the folder's data lies in, where that is PostgreSQL."""
        return self.folder / "database.json"

    @property
    def cluster(self) -> Path:
        """The PostgreSQL cluster of dev's own."""
        return self.folder / "postgres"

    def region_home(self, region: Region, part: str) -> Path:
        """Folder of one of a region's processes."""
        return self.folder / "regions" / region.cluster / part

    @property
    def pair(self) -> Path:
        """The PostgreSQL servers of the regions, a folder each."""
        return self.folder / "pair"

    @property
    def sandbox(self) -> Path:
        """The simulated cloud's store and its agents."""
        return self.folder / "provisioner" / "plugins" / "cloud_provider-sandbox"

    @property
    def dns(self) -> Path:
        """The embedded DNS server's store, its trust anchor and hints."""
        return self.folder / "dns"

    @property
    def tree(self) -> str:
        """The lowest zone that the embedded server makes itself."""
        return self.pool if self.dns_server == "embedded" else self.pool.partition(".")[2]

    @property
    def hints(self) -> Path:
        """At which address and port each name server listens."""
        return (self.dns if self.dns_server == "embedded" else self.folder) / "hints.json"

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

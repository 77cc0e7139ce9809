"""What the conformance suite of clouds works with: a ledger that can die, and what an author provides."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from catalyst_sdk import Secret, SecretRef
from catalyst_sdk.cloud import (
    CloudProvider,
    ClusterRequest,
    Discovered,
    Enrolment,
    LedgerRow,
    NodePool,
    Price,
)

ENROLMENT_CANARY = "canary0enrolment0token0of0a0server"


class Crash(BaseException):
    """The daemon dies here. Not an Exception: no plugin may catch it."""


class CloudBench(Protocol):
    """What the author of a cloud plugin provides; one is made for each test."""

    credential: SecretRef
    """May read and write; its value holds the text in `canary`."""
    read_only: SecretRef | None
    """May only read; None where the cloud has no such thing."""
    rejected: SecretRef
    """A value that the cloud does not accept."""
    canary: str
    secrets: "Vault"
    region: str
    size: str
    endpoint: str
    """What servers are told to dial; it need not answer."""
    goes_on: bool
    """Whether what was begun goes on when the daemon dies, several creates at once: a tool of its own makes them."""

    def plugin(self) -> CloudProvider:
        """A fresh object, as after a restart of the daemon."""
        ...

    async def world(self) -> Sequence[Discovered]:
        """Everything that exists in the account, ours or not, by the cloud's own truth."""
        ...

    async def plant(self, *, kind: str, name: str, region: str, labels: Mapping[str, str]) -> str:
        """Make a resource behind the plugin's back; its id."""
        ...

    async def arm(self, fault: str) -> bool:
        """Let the next create meet `capacity`, `quota`, `rate_limit`, `server_error` or `lost_reply`. False: cannot."""
        ...


class Vault:
    """Secrets by reference, for benches and plugin contexts."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def put(self, name: str, value: str) -> SecretRef:
        """Keep a value; the reference to it."""
        self._values[name] = value
        return SecretRef(name)

    async def resolve(self, ref: SecretRef) -> Secret:
        """The value behind `ref`."""
        return Secret(self._values[ref.name])


@dataclass
class DyingLedger:
    """A `Workspace` in memory. What it holds outlives a `Crash`, as a database would; the caller does not."""

    bench: CloudBench
    credential: SecretRef = field(init=False)
    deadline: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(minutes=10))
    crash_before: int = 0
    """Die instead of writing down the id of the n-th resource: it was made, and nobody knows."""
    crash_after: int = 0
    """Die right after the n-th intent: nothing was made yet."""
    stop_after: int = 0
    """Ask to stop once n ids are written down; 0: never."""
    events: list[dict[str, Any]] = field(default_factory=list)
    writes: int = 0

    def __post_init__(self) -> None:
        self.credential = self.bench.credential
        self.secrets = self.bench.secrets
        self.logged: list[str] = []
        self._rows: dict[tuple[str, str], LedgerRow] = {}
        self._state: bytes | None = None
        self._intents = self._ids = 0

    async def rows(self) -> Sequence[LedgerRow]:
        return list(self._rows.values())

    async def intend(
        self, *, kind: str, name: str, region: str, labels: Mapping[str, str], price: Price | None = None
    ) -> None:
        self.writes += 1
        self._rows.setdefault((kind, name), LedgerRow(kind, name, region, dict(labels), "", price))
        self._intents += 1
        if self._intents == self.crash_after:
            raise Crash

    async def created(self, *, kind: str, name: str, id: str) -> None:
        self.writes += 1
        self._ids += 1
        if self._ids == self.crash_before:
            raise Crash
        row = self._rows[kind, name]
        self._rows[kind, name] = LedgerRow(kind, name, row.region, row.labels, id, row.price)

    async def gone(self, *, kind: str, name: str) -> None:
        self.writes += 1
        self._rows.pop((kind, name), None)

    async def read_state(self) -> bytes | None:
        return self._state

    async def write_state(self, state: bytes) -> None:
        self.writes += 1
        self._state = state

    async def emit(
        self, *, code: str, message: str, level: str = "info", data: Mapping[str, str] | None = None
    ) -> None:
        self.events.append({"code": code, "message": message, "level": level, "data": dict(data or {})})

    async def log(self, *, text: str, level: str = "INFO") -> None:
        self.logged += text.splitlines()

    async def stopping(self) -> bool:
        return bool(self.stop_after) and self._ids >= self.stop_after

    async def enrolment(self, *, server: str) -> Enrolment:
        token = self.bench.secrets.put(f"enrolment/{server}", ENROLMENT_CANARY)
        return Enrolment(self.bench.endpoint, "sovereigns/suite/clusters/one", token)

    def live_again(self) -> None:
        """The daemon is back: no more deaths, no more wish to stop."""
        self.crash_before = self.crash_after = self.stop_after = 0


def cluster_request(bench: CloudBench, name: str = "suite-one", *, workers: int = 1) -> ClusterRequest:
    """A small cluster in the bench's region."""
    labels = {
        "openova.io/sovereign": "suite",
        "openova.io/sovereign-id": f"uid-{name}",
        "openova.io/cluster": name,
        "openova.io/managed-by": "catalyst",
    }
    return ClusterRequest(
        sovereign="sovereigns/suite",
        fqdn="suite.example.test",
        cluster=name,
        suffix="k3x9",
        region=bench.region,
        labels=labels,
        control_plane=NodePool("cp", bench.size, 1),
        worker_pools=(NodePool("general", bench.size, workers),),
    )


def plain(value: Any) -> Any:
    """A result as it would cross a process border. Raises TypeError for what cannot."""
    return json.loads(json.dumps(asdict(value), default=_as_list))


def _as_list(value: object) -> Any:
    if isinstance(value, frozenset | set | tuple):
        return sorted(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot cross a process border")

"""The bench of the conformance suite over the folder cloud."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalyst_sdk import SecretRef
from catalyst_sdk.cloud import Discovered
from catalyst_sdk.context import PluginContext

from ..cloud_bench import Vault
from .cloud import FilesCloud, files_manifest, read

FAULTS = ("capacity", "quota", "rate_limit", "server_error", "lost_reply", "hold")


class SystemClock:
    """The present moment."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Silence:
    """Logs nothing."""

    def debug(self, event: str, **fields: Any) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...


class FilesBench:
    """A folder cloud in `home`. A lost reply is the death of the tool; `hold` lets each create wait until it is taken away."""

    canary = "c4n4ry0000000000c4n4ry"
    region, size = "here", "f2"
    endpoint = "127.0.0.1:1"
    goes_on = True

    def __init__(self, home: Path, tool: str) -> None:
        self.home = home
        self.cloud = home / "cloud"
        (self.cloud / "faults").mkdir(parents=True, exist_ok=True)
        self.secrets = Vault(good=f"fct_{self.canary}", reader=f"fcr_{self.canary}", bad=f"not-a-token-{self.canary}")
        self.credential, self.read_only, self.rejected = SecretRef("good"), SecretRef("reader"), SecretRef("bad")
        self.config: dict[str, Any] = {"folder": str(self.cloud), "tool": tool}
        with Path(tool).open("rb") as program:
            self._is_library = program.read(2) == b"#!"

    def plugin(self) -> FilesCloud:
        """A fresh object."""
        context = PluginContext(SystemClock(), Silence(), self.secrets, self.home / "plugin", self.config)
        return FilesCloud(files_manifest(), context)

    async def world(self) -> Sequence[Discovered]:
        """All files."""
        return read(self.cloud)

    async def plant(self, *, kind: str, name: str, region: str, labels: Mapping[str, str]) -> str:
        """A file that the tool did not write."""
        id = str(uuid.uuid4())
        spec = {"kind": kind, "name": name, "region": region, "labels": dict(labels), "size": ""}
        (self.cloud / f"{kind}.{name}.json").write_text(json.dumps({"id": id, "spec": spec}, separators=(",", ":")))
        (self.cloud / f".{kind}.{name}.finished").touch()
        return id

    async def arm(self, fault: str) -> bool:
        """Let the next create meet it. Of a tool that is a library called as a program only a worker dies, which it tells."""
        if fault == "lost_reply" and self._is_library:
            return False
        (self.cloud / "faults" / fault).touch()
        return fault in FAULTS

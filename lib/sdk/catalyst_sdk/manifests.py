"""`manifest.toml`: what a plugin says about itself, readable without importing its code."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

KINDS = (
    "registrar",
    "dns_backend",
    "cloud_provider",
    "lease_witness",
    "payment_provider",
    "database_promoter",
    "safety_check",
    "fencer",
    "traffic",
    "blueprint_source",
)
_NAME = re.compile(r"^[a-z][a-z0-9_]{1,40}$")
_RANGE = re.compile(r"^\s*(?:(>=|<=|<|>|==)\s*\d+\s*)(?:,\s*(?:>=|<=|<|>|==)\s*\d+\s*)*$")


class ManifestFault(ValueError):
    """A manifest that cannot be used: its path, and every fault in it."""

    def __init__(self, path: str, faults: list[str]) -> None:
        super().__init__(f"{path}: {'; '.join(faults)}")
        self.path = path
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of one plugin."""

    kind: str
    name: str
    sdk: str
    capabilities: tuple[str, ...] = ()
    docs: str = "README.md"
    config: Mapping[str, Any] = field(default_factory=dict)
    """JSON Schema (2020-12) of the configuration; a property with `x-secret: true` arrives as a SecretRef."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """`concurrency`, `call_seconds` and `per_minute`, which the host enforces in each replica; a call beyond the rate raises
    RateLimited before it reaches the plugin."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What the kind adds, such as the codes of a cloud's regions."""

    def speaks(self, version: int) -> bool:
        """Whether `version` of the contracts lies in the manifest's range."""
        return all(_holds(part.strip(), version) for part in self.sdk.split(","))


def load_manifest(path: Path) -> Manifest:
    """Read `manifest.toml`; one that has not changed since is read once. Raises ManifestFault with every fault at once."""
    try:
        stands = path.stat()
    except OSError as error:
        raise ManifestFault(path.name, [str(error)]) from error
    return _loaded(path, stands.st_mtime_ns, stands.st_size)


@lru_cache(maxsize=256)
def _loaded(path: Path, _changed: int, _size: int) -> Manifest:
    """Tests start many hosts in one process, each of which looks at every manifest."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestFault(path.name, [str(error)]) from error
    faults = list(_faults(raw))
    if faults:
        raise ManifestFault(path.name, faults)
    known = {"kind", "name", "sdk", "capabilities", "docs", "config", "limits"}
    return Manifest(
        kind=raw["kind"],
        name=raw["name"],
        sdk=raw["sdk"],
        capabilities=tuple(raw.get("capabilities", ())),
        docs=raw.get("docs", "README.md"),
        config={"type": "object", "additionalProperties": False, **raw.get("config", {})},
        limits=raw.get("limits", {}),
        extra={key: value for key, value in raw.items() if key not in known},
    )


def _faults(raw: Mapping[str, Any]) -> list[str]:
    found = []
    if raw.get("kind") not in KINDS:
        found.append(f"kind: {raw.get('kind')!r} is none of {', '.join(KINDS)}")
    if not _NAME.match(str(raw.get("name", ""))):
        found.append(f"name: {raw.get('name')!r} must match {_NAME.pattern}")
    if not _RANGE.match(str(raw.get("sdk", ""))):
        found.append(f"sdk: {raw.get('sdk')!r} must be a range such as '>=1,<2'")
    words = raw.get("capabilities", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        found.append("capabilities: a list of words is expected")
    found += [
        f"{table}: a table is expected" for table in ("config", "limits") if not isinstance(raw.get(table, {}), dict)
    ]
    limits = raw.get("limits", {})
    for name, limit in limits.items() if isinstance(limits, dict) else ():
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            found.append(f"limits.{name}: {limit!r} must be a whole number from 1 on")
    return found


def _holds(part: str, version: int) -> bool:
    sign = re.match(r"[<>=]+", part)
    assert sign
    bound = int(part[sign.end() :])
    return {
        ">=": version >= bound,
        "<=": version <= bound,
        ">": version > bound,
        "<": version < bound,
        "==": version == bound,
    }[sign[0]]

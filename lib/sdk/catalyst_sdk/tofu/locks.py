"""Which providers a module may load: version and hashes from the plugin's data, written as the tool's lock file. Pure.

The file that the tool writes itself names the registry it downloaded from, and differs between `tofu` and `terraform`;
the data file does neither, so it is what a plugin keeps.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = re.compile(r"provider\[(?P<host>[^/\]\s]+)/(?P<source>[^\]\s]+/[^\]\s]+)\]")


@dataclass(frozen=True, slots=True)
class Pin:
    """One provider: `source` is `namespace/name`."""

    source: str
    version: str
    hashes: tuple[str, ...]


def pins(path: Path) -> tuple[Pin, ...]:
    """Of a data file: `{"namespace/name": {"version": "1.2.3", "hashes": ["zh:…"]}}`."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Pin(source, one["version"], tuple(one["hashes"])) for source, one in sorted(raw.items()))


def hosts(providers: str) -> dict[str, str]:
    """Of each source the registry that the tool would ask, from what its command `providers` prints."""
    return {found["source"]: found["host"] for found in SOURCE.finditer(providers)}


def lock_file(wanted: Sequence[Pin], where: Mapping[str, str]) -> str:
    """`.terraform.lock.hcl`."""
    return "\n".join(_block(pin, where[pin.source]) for pin in wanted if pin.source in where)


def _block(pin: Pin, host: str) -> str:
    hashes = "".join(f'    "{one}",\n' for one in sorted(pin.hashes))
    return f'provider "{host}/{pin.source}" {{\n  version = "{pin.version}"\n  hashes = [\n{hashes}  ]\n}}\n'

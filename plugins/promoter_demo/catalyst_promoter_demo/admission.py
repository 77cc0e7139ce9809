"""Whether a gateway lets writes through: kept on disk, so that a fence in front of a database outlives the gateway.

Invariants
  I3 EffectMonotone  the highest epoch that was ever given stays, and a lower one changes nothing;
  closed is closed   a gateway that was closed lets nothing through until it is opened in this epoch or a later one.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .standing import StaleEpoch


@dataclass(frozen=True, slots=True)
class Order:
    """What the gateway was told last; a new one is open."""

    epoch: int = 0
    open: bool = True
    run: str = ""


class Admission:
    """The gate, and how many writes are inside."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.order = Order(**json.loads(path.read_text())) if path.exists() else Order()
        self.in_flight = 0

    def set(self, order: Order) -> None:
        """Obey, on disk before this returns. Raises StaleEpoch."""
        if order.epoch < self.order.epoch:
            raise StaleEpoch(self.order.epoch)
        fresh = self._path.with_name(f"{self._path.name}.new")
        with fresh.open("w") as file:
            file.write(json.dumps(asdict(order)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        _sync_folder(self._path.parent)
        self.order = order

    @contextmanager
    def inside(self) -> Iterator[None]:
        """A write that is on its way."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


def _sync_folder(folder: Path) -> None:
    """A renamed file has its new name after a power loss only when its folder was synced, too."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""What an effector keeps of epochs, and what it may do in which; pure, for authors of promoters and fencers.

Invariants
  I3 EffectMonotone  the highest epoch that was ever given stays, and a lower one changes nothing;
  demoted for good   whoever gave up in an epoch leads in it no more;
  fences last        writers of the fenced epoch and of older ones are stopped until the fence is lifted in this epoch or later.

`EpochFile` keeps it on a disk: what it says is durable before the effect begins.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path


class StaleEpoch(Exception):
    """A newer epoch is known; nothing was changed."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"epoch {epoch} is known here")
        self.epoch = epoch


@dataclass(frozen=True, slots=True)
class Epochs:
    """What is known of epochs in one region.

    highest     ever given
    led         in which this region was made primary; 0: it is none
    fenced      writers of this one and of older ones are stopped; 0: none are
    demoted     in which this region gave up for good, at the log position `demoted_at`
    """

    highest: int = 0
    led: int = 0
    fenced: int = 0
    demoted: int = 0
    demoted_at: str = ""

    @property
    def may_write(self) -> bool:
        """Whether writes may be taken."""
        return 0 < self.led == self.highest and self.fenced < self.led

    def heard(self, epoch: int) -> "Epochs":
        """Know of an epoch. Raises StaleEpoch."""
        if epoch < self.highest:
            raise StaleEpoch(self.highest)
        return replace(self, highest=epoch)

    def promoted(self, epoch: int) -> "Epochs":
        """Lead in `epoch`; a fence of it stays. Raises StaleEpoch, also where this region gave up in it."""
        now = self.heard(epoch)
        if now.demoted == epoch:
            raise StaleEpoch(epoch)
        return replace(now, led=epoch)

    def gave_up(self, epoch: int, at: str) -> "Epochs":
        """Lead in `epoch` no more; the first position that was told stays. Raises StaleEpoch."""
        now = self.heard(epoch)
        return now if now.demoted == epoch else replace(now, led=0, demoted=epoch, demoted_at=at)

    def followed(self, epoch: int) -> "Epochs":
        """Follow somebody else in `epoch`. Raises StaleEpoch."""
        return replace(self.heard(epoch), led=0)

    def fence(self, epoch: int) -> "Epochs":
        """Stop writers of `epoch` and older ones. Where a newer one is known these are stopped, and nothing changes."""
        return self if epoch < self.highest else replace(self, highest=epoch, fenced=epoch)

    def unfence(self, epoch: int) -> "Epochs":
        """Lift the fence. Raises StaleEpoch."""
        return replace(self.heard(epoch), fenced=0)


class EpochFile:
    """Epochs in a file, which is replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Epochs:
        """What was kept; nothing yet: no epoch is known. Raises ValueError for a file that cannot be read: nobody may guess."""
        try:
            return Epochs(**json.loads(self._path.read_text()))
        except FileNotFoundError:
            return Epochs()
        except TypeError as error:
            raise ValueError(f"{self._path} holds no epochs") from error

    def keep(self, now: Epochs) -> None:
        """On disk when this returns, after a power loss too."""
        durable(self._path, json.dumps(asdict(now)))


def durable(path: Path, text: str) -> None:
    """Replace a file whole; its content and its name outlive a power loss."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

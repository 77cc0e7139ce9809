"""Keys of a zone and the DS that vouch for them: exchanging a key, and taking the signatures away.

Invariants of an exchange by the double-DS way (RFC 6781, section 4.1.2), in whatever step it dies
  shown first     a key signs only when every server has shown it for as long as anybody can hold the set without it;
  vouched first   a key signs only when every server of the parent has shown its DS for as long;
  no early end    a DS goes when nothing is signed by its key any more, and a key when nobody can hold its DS;
  one way         from the moment that the new key signs an exchange only goes forward.
"""

from dataclasses import dataclass

from catalyst_sdk import Code, Refused
from catalyst_sdk.dns import RecordSet, ZoneState

ROLL = "zone-roll"
DISABLE = "zone-unsign"
ROLL_STEPS = ("published", "ds-added", "activated", "ds-removed", "retired")
"""What has been done when a step of an exchange ends; each but the last is followed by a time to live."""
REST = ".rest"
"""Ends the name of a step that waits for what the one before has changed to leave the caches."""
DISABLE_STEPS = ("ds-withdrawn", "unsigned")
POINT_OF_NO_RETURN = "activated"


@dataclass(frozen=True, slots=True)
class KeyRolled:
    """A key was exchanged. `version` is the zone's."""

    zone: str
    owner: str
    version: int
    old: int
    new: int
    ds: tuple[str, ...]


class DnssecNotActive(Refused):
    code, reason = Code.FAILED_PRECONDITION, "DNSSEC_NOT_ACTIVE"
    message = "{name} is not signed, so there is no key to be exchanged"


class RollInProgress(Refused):
    code, reason = Code.FAILED_PRECONDITION, "ROLL_IN_PROGRESS"
    message = "the keys of {name} are being changed already: {run}"


class NotCancellable(Refused):
    code, reason = Code.FAILED_PRECONDITION, "OPERATION_NOT_CANCELLABLE"
    message = "{name} cannot be cancelled any more: {why}"


def wished_ds(child: ZoneState, shown: RecordSet | None) -> tuple[str, ...]:
    """DS that a parent should have: of keys that sign, and those that it shows for other keys that the zone still has.

    Who writes a delegation again while a key is exchanged must not take back what the exchange has put there.
    """
    there = {text.lower() for text in shown.records} if shown else set()
    signing = [text for key in child.keys if key.active for text in key.ds]
    present = [text for key in child.keys if not key.active for text in key.ds if text.lower() in there]
    return (*signing, *present)


def slowest(state: ZoneState) -> int:
    """Seconds after which nobody holds anything of the zone as it was."""
    soa = state.find(state.name, "SOA")
    negative = int(soa.records[0].split()[-1]) if soa else 0
    return max([negative, *(r.ttl for r in state.record_sets)])

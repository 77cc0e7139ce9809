"""Letting a cell that forgot count again: by a person who has seen to it, under a majority of all cells among the others."""

from catalyst_mesh import get_logger
from catalyst_sdk import Code, PluginFailure, Refused
from catalyst_sdk.witness import CellIdentity, LeaseWitness

from .outcomes import Committed, NotQuarantined
from .register import Register


class CellNotQuarantined(Refused):
    code, reason = Code.FAILED_PRECONDITION, "CELL_NOT_QUARANTINED"
    message = "{cell} shows no less of {slot} than it once did; there is nothing to admit"


class IncarnationMismatch(Refused):
    code, reason = Code.FAILED_PRECONDITION, "INCARNATION_MISMATCH"
    message = "{cell} shows incarnation {shown}, not {wanted}"


class NoQuorum(Refused):
    code, reason = Code.UNAVAILABLE, "NO_QUORUM"
    message = "{cell} was not admitted: {why}"


class Admission:
    """Admits cells of one register."""

    def __init__(self, register: Register, witness: LeaseWitness) -> None:
        self._register = register
        self._witness = witness
        self._log = get_logger("admission")

    async def check(self, cell: str, incarnation: str) -> None:
        """Whether the cell is the one that was looked at. Raises IncarnationMismatch, and NoQuorum where it does not answer.

        incarnation   its number, or id and number as a verification shows them
        """
        try:
            shown = await self._witness.identity(cell=cell)
        except PluginFailure as failure:
            raise NoQuorum(cell=cell, why=str(failure)) from failure
        if incarnation not in _names(shown):
            raise IncarnationMismatch(cell=cell, shown=f"{shown.id} {shown.incarnation}", wanted=incarnation)

    async def admit(self, slot: str, cell: str, reason: str) -> CellNotQuarantined | None:
        """Admit it; a refusal where it is admitted already, which for the repeat of a call is no refusal. Raises NoQuorum.

        A second time does what the first one did, so that whoever got no answer may ask again.
        """
        outcome = await self._register.admit(slot, cell)
        if isinstance(outcome, NotQuarantined):
            return CellNotQuarantined(cell=cell, slot=slot)
        if not isinstance(outcome, Committed):
            raise NoQuorum(cell=cell, why=outcome.why)
        self._log.warning("cell admitted", slot=slot, cell=cell, reason=reason)
        return None


def _names(shown: CellIdentity) -> tuple[str, ...]:
    return str(shown.incarnation), shown.id, f"{shown.id} {shown.incarnation}"

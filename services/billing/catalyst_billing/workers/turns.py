"""What becomes of something that is due and fails by a fault of ours: a person hears of it, and all others go on."""

from collections.abc import Awaitable, Callable

from catalyst_mesh import Work, get_logger

from ..domain import findings
from ..store import Store


class Turns:
    """Gives what is due its turn, one after the other or many at once."""

    def __init__(self, work: Work[Store], kind: type | None = None) -> None:
        """Wire it; `kind` is that of rows which are looked at later after a turn that failed. Others come again at once."""
        self._work = work
        self._kind = kind
        self._log = get_logger("turns")

    async def give(self, org: str, id: str, name: str, turn: Callable[[], Awaitable[None]]) -> None:
        """Run `turn` for what `name` names; whatever it fails with ends here."""
        try:
            await turn()
        except Exception as error:
            self._log.error("turn failed", subject=name, exc_info=error)
            await self._told(org, id, name, error)

    async def _told(self, org: str, id: str, name: str, error: Exception) -> None:
        async def step(tx: Store) -> None:
            if self._kind is not None:
                await tx.set_aside(self._kind, id)
            await tx.open_finding(findings.stuck(name, error, account=f"billingAccounts/{org}", now=tx.now))

        await self._work.again(step)

"""The proof of the whole book, each night and on demand. A difference opens a finding; the book is never changed."""

from catalyst_mesh import Work, get_logger

from .domain import findings
from .metrics import BillingMetrics
from .store import Proof, Store, proof


class Proofs:
    """Proves and alerts."""

    def __init__(self, work: Work[Store], metrics: BillingMetrics) -> None:
        self._work = work
        self._metrics = metrics
        self._log = get_logger("proofs")

    async def prove(self) -> Proof:
        """Prove now."""
        async with self._work.db.read() as sql:
            result = await proof(sql)
        self._metrics.ledger_differences.set(len(result.differences))
        if result.differences:
            self._log.error("ledger differs", differences=len(result.differences))
            await self._work.again(lambda tx: _open(tx, result))
        return result


async def _open(tx: Store, result: Proof) -> None:
    for d in result.differences[:100]:
        text = f"{d.rule}: {d.expected} expected, {d.found} found"
        subject = f"ledgerAccounts/{d.account}" if d.account else f"ledgerTransactions/{d.txn}"
        await tx.open_finding(findings.alarm("LEDGER_DIFFERENCE", subject, text, account="", now=tx.now))

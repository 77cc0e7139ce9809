"""weights of the proof"""

import sqlalchemy as sa
from alembic import op

revision = "0025three"
down_revision = "0025six"
branch_labels = None
depends_on = None

DIGITS = " + ".join(f"(instr('0123456789abcdef', substr(txn_id, -{n + 1}, 1)) << {4 * n})" for n in range(7))


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        key = sa.text(f"((1 << 30) | (({DIGITS}) << 1) | 1)")
        op.create_index("ledger_entry_weighed", "ledger_entry", ["account_id", "amount_minor", key])
        op.drop_index("ledger_entry_of_txn", "ledger_entry")


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

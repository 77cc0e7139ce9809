"""indexes of the proof"""

from alembic import op

revision = "0024three"
down_revision = "0023six"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ledger_entry_of_account", "ledger_entry", ["account_id", "number", "amount_minor"])
    op.drop_index("ledger_entry_account", "ledger_entry")
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("ledger_entry_of_txn", "ledger_entry", ["txn_id", "amount_minor"])


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

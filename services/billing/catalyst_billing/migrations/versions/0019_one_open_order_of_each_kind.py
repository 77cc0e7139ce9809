"""one open order of each kind"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

OPEN = sa.text("state IN ('reserved', 'awaiting_payment')")


def upgrade() -> None:
    # By hand: SQLite would make the table anew in a batch. The release before keeps to one order of all kinds by itself.
    op.create_index(
        "order_is_one_open_of_kind", "order", ["org", "kind"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.drop_index("order_is_one_open", table_name="order")


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

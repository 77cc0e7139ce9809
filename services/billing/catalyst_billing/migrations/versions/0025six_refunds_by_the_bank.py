"""refunds by the bank"""

import sqlalchemy as sa
from alembic import op

revision = "0025six"
down_revision = "0024three"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("refund", sa.Column("dispute", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

"""why the last sweep left a pool's names out"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pool", sa.Column("unswept", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

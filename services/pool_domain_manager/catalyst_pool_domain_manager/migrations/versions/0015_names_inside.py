"""names whose records lie in their pool's zone"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pool", sa.Column("zone_mode", sa.Text(), nullable=False, server_default="delegated"))
    op.add_column("allocation", sa.Column("inside", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

"""the name-server set that has the zones of a pool's names"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pool", sa.Column("name_server_set", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

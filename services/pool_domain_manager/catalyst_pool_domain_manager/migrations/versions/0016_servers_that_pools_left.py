"""sets of servers that a pool has left, while somebody may still ask them"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pool", sa.Column("left_servers", Json(), nullable=False, server_default="[]"))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

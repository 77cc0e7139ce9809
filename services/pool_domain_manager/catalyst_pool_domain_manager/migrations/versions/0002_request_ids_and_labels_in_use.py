"""request ids and labels in use"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pool", sa.Column("in_use", Json(), nullable=False, server_default="[]"))
    op.add_column("allocation_history", sa.Column("request_id", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

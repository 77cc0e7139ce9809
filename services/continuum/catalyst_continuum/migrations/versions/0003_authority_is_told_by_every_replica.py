"""authority is told by every replica"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("slot", sa.Column("seq", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("slot", sa.Column("held_until", UtcTime(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

"""the last drill of a slot, and the cells that its record is to leave"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("slot", sa.Column("drill", sa.Text(), nullable=False, server_default=""))
    op.add_column("slot", sa.Column("drilled_at", UtcTime()))
    op.add_column("slot", sa.Column("left_cells", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    for column in ("left_cells", "drilled_at", "drill"):
        op.drop_column("slot", column)

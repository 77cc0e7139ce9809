"""runs of slots"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("is_over", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", "id"),
    )
    op.create_index("run_of_slot", "run", ["namespace", "name", "created_at"])


def downgrade() -> None:
    op.drop_index("run_of_slot", "run")
    op.drop_table("run")

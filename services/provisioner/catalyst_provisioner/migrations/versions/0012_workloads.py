"""what Organizations run on clusters"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json, UtcTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workload_list",
        sa.Column("sovereign", sa.Text(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("command", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.Column("wished", Json(), nullable=False),
        sa.PrimaryKeyConstraint("sovereign", "cluster"),
    )
    op.create_table(
        "workload",
        sa.Column("sovereign", sa.Text(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("seen", Json(), nullable=False),
        sa.Column("was_ready", sa.Boolean(), nullable=False),
        sa.Column("observed_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("sovereign", "cluster", "application"),
    )


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

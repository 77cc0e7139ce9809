"""delegations of zones, with what stood at the parent before"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json, UtcTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delegation",
        sa.Column("zone", sa.Text(), primary_key=True),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rested", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("plan_until", UtcTime(), nullable=True),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("wished", Json(), nullable=True),
        sa.Column("observed", Json(), nullable=False),
        sa.Column("snapshot", Json(), nullable=True),
        sa.Column("rollback_until", UtcTime(), nullable=True),
        sa.Column("retain_until", UtcTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("misses", Json(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("observed_generation", sa.BigInteger(), nullable=False),
        sa.Column("conditions", Json(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

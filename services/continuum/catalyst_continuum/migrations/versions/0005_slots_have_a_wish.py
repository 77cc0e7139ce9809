"""slots have a wish, an errand in the register and a chain of records; agents' observations; the audit"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("uid", sa.Text(), nullable=False, server_default=""),
        sa.Column("document", sa.Text(), nullable=False, server_default=""),
        sa.Column("application", sa.Text(), nullable=False, server_default=""),
        sa.Column("teller", sa.Text(), nullable=False, server_default=""),
        sa.Column("has_standby", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("generation", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("observed_generation", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("suspended", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("frozen", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("errand", sa.Text(), nullable=False, server_default=""),
        sa.Column("acknowledged_at", UtcTime()),
        sa.Column("chain", sa.Text(), nullable=False, server_default=""),
    ):
        op.add_column("slot", column)
    op.create_table(
        "observation",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", "region"),
    )
    op.create_table(
        "audit",
        sa.Column("aggregate", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("aggregate", "version"),
    )


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

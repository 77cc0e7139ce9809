"""a line for each call"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_line",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("time", UtcTime(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("audit_line", schema=None) as batch_op:
        batch_op.create_index("audit_line_subject", ["subject", "number"], unique=False)
        batch_op.create_index("audit_line_organization", ["organization", "number"], unique=False)
        batch_op.create_index("audit_line_time", ["time"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

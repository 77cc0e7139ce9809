"""operations are kept"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "operation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("operation_made", "operation", ["created_at"])


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

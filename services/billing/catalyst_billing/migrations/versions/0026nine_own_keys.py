"""keys by which billing signs"""

import sqlalchemy as sa
from alembic import op

revision = "0026nine"
down_revision = "0025three"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "own_key",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

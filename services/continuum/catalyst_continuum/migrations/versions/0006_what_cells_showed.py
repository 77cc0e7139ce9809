"""what cells showed"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cell_memory",
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("promised", sa.BigInteger(), nullable=False),
        sa.Column("promised_by", sa.Text(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "cell"),
    )


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

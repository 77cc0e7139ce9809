"""apps that paid orders name"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ordered_apps",
        sa.Column("order", sa.Text(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("org", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("body", Json(), nullable=False),
        sa.PrimaryKeyConstraint("order", "app"),
    )
    op.create_index("ordered_apps_by_org", "ordered_apps", ["org"])
    op.create_index("ordered_apps_by_state", "ordered_apps", ["state"])


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

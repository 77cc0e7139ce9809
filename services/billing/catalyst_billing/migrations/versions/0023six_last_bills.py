"""last bills"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0023six"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription", sa.Column("last", Json(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

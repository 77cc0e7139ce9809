"""what orders wait for"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order", sa.Column("installed", Json(), server_default="[]", nullable=False))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

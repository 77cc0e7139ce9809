"""what a source of an import has and no record can hold"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("zone_import", sa.Column("left_out", Json(), nullable=False, server_default="[]"))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

"""pools' own documents of policy, and their generations"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pool", sa.Column("rules", Json(), nullable=True))
    op.add_column("pool", sa.Column("generation", sa.BigInteger(), nullable=False, server_default="1"))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

"""what a search for Organizations looks in; what was written before is looked at by the daemon until it changes"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organizations", sa.Column("sought", sa.Text(), nullable=False, server_default=""))
    op.add_column("organizations", sa.Column("sought_version", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

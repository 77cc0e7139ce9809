"""renewals of sessions"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session", sa.Column("renewing_until", UtcTime(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

"""prepaid usage"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entitlement", sa.Column("prepaid", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("entitlement", sa.Column("drawn_until", UtcTime(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

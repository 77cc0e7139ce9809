"""warm reservations, offers, longer rests; a place for whoever waits for what happens to names"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json, UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("allocation", sa.Column("warm", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("allocation", sa.Column("offer", Json(), nullable=True))
    op.add_column("allocation", sa.Column("looked_at", UtcTime(), nullable=True))
    op.add_column("allocation", sa.Column("extended", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

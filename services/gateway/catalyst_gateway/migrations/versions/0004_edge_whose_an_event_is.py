"""whose an event is; until that is found out it is told to nobody who may not hear all of its kind"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("stream_event", schema=None) as batch_op:
        batch_op.add_column(sa.Column("organization", sa.Text(), server_default="?", nullable=False))
        batch_op.create_index("stream_event_time", ["time"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

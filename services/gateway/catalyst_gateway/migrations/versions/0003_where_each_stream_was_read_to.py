"""where each stream was read to; one incarnation, whoever asks first"""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stream_position",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("life", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service"),
    )
    incarnation = sa.table("incarnation", sa.column("id", sa.Text()))
    known = list(op.get_bind().execute(sa.select(incarnation.c.id).order_by(incarnation.c.id)).scalars())
    if not known:
        op.execute(sa.insert(incarnation).values(id=uuid4().hex[:8]))
    for more in known[1:]:  # two replicas of the release before could each draw one
        op.execute(sa.delete(incarnation).where(incarnation.c.id == more))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

"""when orders were fulfilled or given up"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("fulfilled_at", "given_up_at"):
        op.add_column("order", sa.Column(name, UtcTime(), nullable=True))
    # Of orders that were refunded in part nobody knew any more whether they had been fulfilled: none of them is given back
    # by itself.
    old = sa.text("UPDATE \"order\" SET fulfilled_at = updated_at WHERE state IN ('fulfilled', 'partially_refunded')")
    op.execute(old)


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

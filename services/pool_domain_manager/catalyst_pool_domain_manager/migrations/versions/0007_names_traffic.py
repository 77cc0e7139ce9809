"""traffic policies of names"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("traffic", "epochs", "down"):
        op.add_column("allocation", sa.Column(name, Json(), nullable=False, server_default="[]"))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

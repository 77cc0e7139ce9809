"""commands for one server, and what they left"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agent_command", sa.Column("server", sa.Text()))
    op.add_column("agent_command", sa.Column("remaining", Json()))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

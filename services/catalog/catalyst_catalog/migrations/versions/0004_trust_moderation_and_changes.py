"""trust, moderation and the record of changes"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner_org", sa.Text(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )
    with op.batch_alter_table("sources", schema=None) as batch_op:
        batch_op.add_column(sa.Column("secret_ref", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("trust", Json(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("rank", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("prereleases", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("settled_by", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("is_deleted", sa.Boolean(), server_default=sa.false(), nullable=False))
    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("verdict", Json(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("replacement", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("came_from", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

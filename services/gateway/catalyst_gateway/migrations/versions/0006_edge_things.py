"""things and the models that they stand in; the first model is built anew from what is kept"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json, UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "read_model",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("schema", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("copied", sa.Text(), nullable=True),
        sa.Column("replayed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "thing",
        sa.Column("model", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("major", sa.BigInteger(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("time", UtcTime(), nullable=False),
        sa.Column("body", Json(), nullable=False),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("model", "key"),
    )
    with op.batch_alter_table("thing", schema=None) as batch_op:
        batch_op.create_index("thing_environment", ["model", "environment", "key"], unique=False)
        batch_op.create_index("thing_deleted", ["deleted_at"], unique=False)
    with op.batch_alter_table("stream_event", schema=None) as batch_op:
        batch_op.add_column(sa.Column("major", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("minor", sa.BigInteger(), server_default="0", nullable=False))
    # Of an older schema than any: whoever starts first builds another one beside it.
    model = sa.table("read_model", *(sa.column(name) for name in ("schema", "state", "replayed")))
    op.execute(sa.insert(model).values(schema=0, state="LIVE", replayed=0))


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

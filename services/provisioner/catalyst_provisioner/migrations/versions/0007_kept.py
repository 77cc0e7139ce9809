"""what was told of a Sovereign, for as long as it lives; versions of the plugins' state"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "told",
        sa.Column("aggregate", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("aggregate", "version"),
    )
    op.create_table(
        "plugin_state",
        sa.Column("sovereign", sa.Text(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("sovereign", "cluster", "number"),
    )
    # An aggregate that was deleted and made again began its versions anew; of two rows the newer one counts.
    op.execute(
        'INSERT INTO told (aggregate, version, subject, "schema", body, traceparent, created_at) '
        'SELECT aggregate, version, subject, "schema", body, traceparent, created_at FROM outbox o '
        "WHERE number = (SELECT max(number) FROM outbox p WHERE p.aggregate = o.aggregate AND p.version = o.version)"
    )


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

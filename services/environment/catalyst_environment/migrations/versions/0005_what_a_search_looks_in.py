"""what a search for Organizations looks in, with its case folded"""

import sqlalchemy as sa
from alembic import op
from catalyst_mesh import Json

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
AT_ONCE = 500


def upgrade() -> None:
    op.add_column("organizations", sa.Column("sought", sa.Text(), nullable=False, server_default=""))
    op.add_column("organizations", sa.Column("sought_version", sa.BigInteger(), nullable=False, server_default="0"))
    t = sa.table(
        "organizations",
        sa.column("slug", sa.Text()),
        sa.column("version", sa.BigInteger()),
        sa.column("body", Json()),
        sa.column("sought", sa.Text()),
        sa.column("sought_version", sa.BigInteger()),
    )
    after, sql = "", op.get_bind()
    while rows := sql.execute(sa.select(t).where(t.c.slug > after).order_by(t.c.slug).limit(AT_ONCE)).mappings().all():
        for row in rows:  # folded by Python, as the daemon folds
            sought = f"{row['slug']}\n{row['body']['display_name'].casefold()}"
            sql.execute(
                sa.update(t).where(t.c.slug == row["slug"]).values(sought=sought, sought_version=row["version"])
            )
        after = rows[-1]["slug"]


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

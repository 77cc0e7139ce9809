"""row-level security behind visibility, where the database has it"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SEES = "(SELECT string_to_array(nullif(current_setting('catalyst.viewer', true), ''), ' '))"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("blueprints", "versions"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY seen ON {table} USING ({_SEES} IS NULL OR (owner_org <> '' AND {_SEES} @> ARRAY[owner_org]) "
            "OR (owner_org = '' AND (visibility = 'listed' OR (visibility = 'unlisted' AND "
            f"{_SEES} @> ARRAY['!known']))))"
        )


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

"""one head again, after two revisions that follow the same one"""

revision = "0027nine"
down_revision = ("0026nine", "0025three")
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing of its own."""


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a backup, or run the release before on this schema")

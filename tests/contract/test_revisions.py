"""`script/migration --check`, on both databases: revisions are additive, never edited, and make the tables of the code."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from catalyst_mesh import Database
from catalyst_testkit import revisions

from .contracts import ROOT

PACKAGES = revisions.packages(ROOT)
HEAD = '''"""{what}"""

revision = "0002"
down_revision = "{after}"


def upgrade() -> None:
    {body}
'''


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    opened = await Database.open(database)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def ref() -> str:
    """What there was before; empty in a copy without history, where every revision is a new one."""
    return revisions.before(ROOT)


@pytest.mark.parametrize("owner", PACKAGES)
async def test_the_schema_of_the_commit_before_brought_forward_is_what_the_tables_say(
    db: Database, owner: str, ref: str
) -> None:
    # Not named `package`: that fixture fills the database beforehand, and this one has to begin empty.
    old = revisions.committed(ROOT, owner, ref) if ref else {}
    assert revisions.faults(ROOT, owner, old) == []
    assert await revisions.differences(db, owner, old) == []


def revision(body: str, what: str = "more", after: str = "0001") -> str:
    return HEAD.format(body=body, what=what, after=after)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('op.drop_table("names")', "drop_table takes away"),
        ('batch.drop_column("owner")', "drop_column takes away"),
        ('batch.alter_column("owner", new_column_name="holder")', "alter_column takes away"),
        ('op.rename_table("names", "labels")', "rename_table takes away"),
        ('op.add_column("names", sa.Column("kind", sa.Text(), nullable=False))', "'kind' is NOT NULL"),
    ],
)
def test_a_revision_that_the_release_before_would_not_survive_is_found(body: str, why: str) -> None:
    (found,) = revisions.narrowing(revision(body))
    assert why in found
    assert list(revisions.narrowing(revision(body, what="contract: nothing reads it"))) == []


@pytest.mark.parametrize(
    "body",
    [
        'op.add_column("names", sa.Column("kind", sa.Text(), nullable=True))',
        'op.add_column("names", sa.Column("kind", sa.Text(), nullable=False, server_default=""))',
        'op.create_table("more", sa.Column("kind", sa.Text(), nullable=False))',
    ],
)
def test_what_is_added_may_be(body: str) -> None:
    assert list(revisions.narrowing(revision(body))) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "services" / "toy" / "catalyst_toy" / "migrations" / "versions"
    made.mkdir(parents=True)
    return made


def test_a_revision_that_was_edited_or_is_gone_or_stands_beside_another_is_named(tmp_path: Path, folder: Path) -> None:
    (folder / "0002_more.py").write_text(revision("pass", after="0000"))
    old = {"0001_first.py": b"", "0002_more.py": b"another"}
    assert revisions.faults(tmp_path, "catalyst_toy", old) == [
        "catalyst_toy: 0001_first.py was committed before and is gone",
        "catalyst_toy: 0002_more.py was committed before and is edited; write a new one",
        "catalyst_toy: 0002_more.py is not revision 0002 behind None",
    ]

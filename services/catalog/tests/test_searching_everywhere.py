"""A private Blueprint looked for by every method with every word: that it came changes no answer of anybody else."""

import asyncio
import os
from functools import cache
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from catalyst_catalog.domain.installations import Installation
from catalyst_catalog.store import tables
from catalyst_testkit.daemons import RunningDaemon
from sqlalchemy import select

from .asking import Start, sync
from .makers import needs, write
from .walk import Question, heard, questions

pytestmark = pytest.mark.either_database
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SAMPLE = 2
"""Questions of each method that a searcher asks in a daily run; the long run asks all."""
SEEING = ("CatalogService", "SourceService")
"""Services that a daily run asks; the others refuse strangers, or know of no private Blueprint."""
OWNED, CONTENT = "sources/org-acme", "zephyr"
WORDS = (
    "crm",
    "bp-crm",
    "blueprints/bp-crm",
    "organizations/acme/blueprints/bp-crm",
    "blueprints/bp-crm/versions/1.0.0",
    "organizations/acme/blueprints/bp-crm/versions/1.0.0",
    "blueprints/bp-wants-crm",
    "organizations/acme",
    OWNED,
    f"{OWNED}/issues/0123456789abcdef",
    "operations/catalog-sync-org-acme-1",
    "environments/acme-prod",
    CONTENT,
    "apps/crm",
)  # fmt: skip - a table
STRANGERS: dict[str, dict[str, Any]] = {
    "nobody": {},
    "another's admin": {"subject": "spy", "groups": ["/rival/org-admin"]},
    "one of a name that begins alike": {"subject": "near", "groups": ["/acm/org-admin", "/acme-x/org-admin"]},
    "who keeps the books": {"subject": "books", "roles": ["billing-admin"]},
}
KEEPERS: dict[str, dict[str, Any]] = {
    "the sovereign-admin": {"subject": "root", "roles": ["sovereign-admin"], "groups": ["/rival/org-admin"]},
    "the security-officer": {"subject": "safe", "roles": ["security-officer"], "groups": ["/rival/org-developer"]},
}


class Searcher:
    """Somebody who asks the same questions again and again."""

    def __init__(self, daemon: RunningDaemon, who: dict[str, Any], asked: list[Question]) -> None:
        self._token = daemon.issuer.token(**who) if who else ""
        self._channel = grpc.aio.insecure_channel(daemon.target)
        self._asked = asked

    async def hear(self) -> dict[str, Any]:
        """What each question is answered."""
        few = asyncio.Semaphore(8)

        async def ask(question: Question) -> Any:
            async with few:
                return await heard(self._channel, question, self._token)

        answers = await asyncio.gather(*map(ask, self._asked))
        return dict(zip(map(str, self._asked), answers, strict=True))

    async def close(self) -> None:
        await self._channel.close(None)


@cache
def all_questions() -> list[Question]:
    return list(questions(WORDS))


def chosen(seed: str) -> list[Question]:
    every = all_questions()
    by_method = groupby(every, key=lambda question: question.method)
    drawn = (list(asked) for method, asked in by_method if method.containing_service.name in SEEING)
    chance = Random(seed)
    return every if LONG else [one for of in drawn for one in chance.sample(of, min(SAMPLE, len(of)))]


async def let_it_come(daemon: RunningDaemon, home: Path) -> None:
    """Acme's Blueprint with all that there can be of one: two versions, a broken neighbour, one that stands."""
    write(
        home,
        "bp-crm",
        visibility="listed",
        depends=needs(db="*"),
        card={
            "title": CONTENT,
            "tagline": CONTENT,
            "summary": CONTENT,
            "category": CONTENT,
            "tags": [CONTENT],
        },
    )  # fmt: skip - one card
    write(home, "bp-broken", visibility=CONTENT, depends=needs(crm="*"))
    await sync(daemon, OWNED)
    write(home, "bp-crm", version="1.1.0", visibility="listed", card={"title": CONTENT})
    await sync(daemon, OWNED)
    async with daemon.daemon.work.transaction() as tx:
        await tx.note(
            Installation(
                "environments/acme-prod/applications/crm",
                "acme",
                "environments/acme-prod",
                "organizations/acme/blueprints/bp-crm",
                "1.0.0",
                "",
                1,
            )
        )  # fmt: skip - one row


async def test_that_a_private_blueprint_came_changes_no_answer_of_anybody_else(
    start: Start, folder: Path, home: Path
) -> None:
    write(folder, "bp-db", visibility="listed")
    write(folder, "bp-wants-crm", visibility="listed", depends=needs(crm="^1"))
    (home / "acme").mkdir()
    async with start(organization_folders={"acme": home / "acme"}) as daemon:
        everybody = {who: Searcher(daemon, claims, chosen(who)) for who, claims in {**STRANGERS, **KEEPERS}.items()}
        before = {who: await everybody[who].hear() for who in STRANGERS}
        await let_it_come(daemon, home / "acme")
        for who in STRANGERS:
            after = await everybody[who].hear()
            assert {q: (before[who][q], told) for q, told in after.items() if told != before[who][q]} == {}, who
        for who in KEEPERS:
            told = await everybody[who].hear()
            assert {q: answer for q, answer in told.items() if CONTENT in str(answer) and CONTENT not in q} == {}, who
        assert await told_to_all(daemon) == []
        for one in everybody.values():
            await one.close()


async def told_to_all(daemon: RunningDaemon) -> list[str]:
    """Events that name what is Acme's and do not say that it is."""
    t = tables.metadata.tables["outbox"]
    async with daemon.daemon.db.read() as sql:
        rows = (await sql.execute(select(t))).mappings().all()
    return [
        row["subject"]
        for row in rows
        if any(word in str(dict(row)) for word in ("bp-crm/", CONTENT)) and "organizations/acme" not in str(dict(row))
    ]

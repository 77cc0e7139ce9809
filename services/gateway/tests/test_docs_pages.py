"""The documentation in the console: for everybody, nothing beside it, no markup of its own, no link that leads nowhere."""

from pathlib import Path

import pytest
from catalyst_gateway.console.finding import find
from catalyst_gateway.console.library import Library, NoSuchDocument, anchor

from .looking import Looking


@pytest.fixture
def shelf(tmp_path: Path) -> Library:
    folder = tmp_path / "docs"
    (folder / "how-to").mkdir(parents=True)
    (tmp_path / "secret.md").write_text("# no")
    (folder / "README.md").write_text(
        "# All\n\n[one](how-to/one.md#two), [gone](gone.md), [out](../secret.md)\n\n<b>bold</b>\n"
    )
    (folder / "how-to" / "one.md").write_text(
        "# One\n\n## Two\n\n## Two\n\n[back](../README.md) [x](https://example.org)\n"
    )
    return Library(folder)


def test_links_lead_to_pages_that_are_served_and_others_are_text(shelf: Library) -> None:
    assert shelf.document("README.md").links == ["/docs/how-to/one.md#two"]
    assert ">gone</span>" in shelf.document("README.md").html
    assert shelf.document("how-to/one.md").links == ["/docs/README.md", "https://example.org"]


def test_markup_of_a_page_is_shown_and_not_done(shelf: Library) -> None:
    assert "&lt;b&gt;bold" in shelf.document("README.md").html


def test_two_headings_of_the_same_words_have_two_ids(shelf: Library) -> None:
    assert shelf.document("how-to/one.md").contents == [("two", "Two"), ("two-1", "Two")]
    assert anchor("What holds, and while *what* holds") == "what-holds-and-while-what-holds"


@pytest.mark.parametrize("path", ["../secret.md", "/etc/passwd", "how-to", "gone.md", "how-to/../../secret.md"])
def test_nothing_beside_the_documentation_is_served(shelf: Library, path: str) -> None:
    with pytest.raises(NoSuchDocument):
        shelf.document(path)


def test_a_page_that_changed_is_read_anew(shelf: Library, tmp_path: Path) -> None:
    assert shelf.document("README.md").title == "All"
    (tmp_path / "docs" / "README.md").write_text("# Another one")
    assert shelf.document("README.md").title == "Another one"


def test_a_search_finds_the_sections_with_all_words_those_with_a_telling_heading_first(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Leases\n\nWho writes.\n\n## How a lease ends\n\nIt is given *back*.\n")
    (tmp_path / "b.md").write_text("# Other\n\n```sh\n# a lease ends here\n```\n\n## Other\n\nnothing\n")
    found = [(hit.section.path, hit.section.id, hit.excerpt) for hit in find(Library(tmp_path), "LEASE ends")]
    assert found == [("a.md", "how-a-lease-ends", "It is given back."), ("b.md", "other", "# a lease ends here")]
    assert [hit.section.id for hit in find(Library(tmp_path), "other nothing")] == ["other-1"]
    assert find(Library(tmp_path), "lease nowhere") == find(Library(tmp_path), " ") == []


def test_what_a_search_leads_to_is_there() -> None:
    library = Library(Path("docs"))
    for word in ("lease", "voucher", "webhook", "order_unpaid"):
        hits = find(library, word)
        assert hits
        assert all(one.section.id in {"", *library.document(one.section.path).headings} for one in hits), word


async def test_the_documentation_is_read_without_signing_in(look: Looking) -> None:
    index = await look.at("/docs", roles=())
    assert (index.status, "Your first Sovereign in ten minutes" in index.text) == (200, True)
    page = await look.at("/docs/tutorials/first-sovereign.md", roles=())
    assert "catalyst sovereign plan" in page.text
    schema = await look.at("/docs/reference/asyncapi.json", roles=())
    assert (schema.status, schema.headers["content-type"]) == (200, "application/json")
    assert (await look.at("/docs/nowhere.md", roles=())).status == 404
    found = await look.at("/docs?q=first+sovereign", roles=())
    assert "/docs/tutorials/first-sovereign.md#your-first-sovereign-in-ten-minutes" in found.links
    nothing = await look.at("/docs?q=%3Cb%3Exyzzy", roles=())
    assert ("Nothing has all these words" in nothing.text, "<b>xyzzy" in nothing.html) == (True, False)

"""A document as PDF, in one of the fonts that every reader has.

Those fonts know the letters of Western Europe only; another one is printed as a question mark, and stands right in HTML.
"""

from collections.abc import Iterator
from io import BytesIO

import pydyf

from ..domain.invoices import Invoice
from .words import Issuer, Words, words

WIDTH, HEIGHT, MARGIN = 595, 842, 56
"""A4 in points."""
SIZE, LEAD = 10, 15
COLUMNS = 80
"""Signs in a line: the font gives each of them six tenths of its size."""
LINES = 46
"""Lines on a page."""


def pdf(invoice: Invoice, issuer: Issuer) -> bytes:
    """The file: no date of its making in it, so that it is the same each time."""
    w = words(invoice, issuer)
    document = pydyf.PDF()
    font = pydyf.Dictionary({
        "Type": "/Font", "Subtype": "/Type1", "BaseFont": "/Courier", "Encoding": "/WinAnsiEncoding"
    })  # fmt: skip
    document.add_object(font)
    document.info["Title"] = pydyf.String(w.title)
    lines = list(_lines(w))
    pages = [lines[n : n + LINES] for n in range(0, len(lines), LINES)]
    for number, page in enumerate(pages, 1):
        _page(document, font, [*page, "", f"{number}/{len(pages)}".rjust(COLUMNS)])
    out = BytesIO()
    document.write(out, identifier=invoice.hash.encode())
    return out.getvalue()


def _page(document: pydyf.PDF, font: pydyf.Dictionary, lines: list[str]) -> None:
    content = pydyf.Stream()
    content.begin_text()
    content.set_font_size("F1", SIZE)
    for n, line in enumerate(lines):
        content.set_text_matrix(1, 0, 0, 1, MARGIN, HEIGHT - MARGIN - n * LEAD)
        content.show_text_string(line.encode("cp1252", "replace"))
    content.end_text()
    document.add_object(content)
    document.add_page(
        pydyf.Dictionary({
            "Type": "/Page", "Parent": document.pages.reference, "MediaBox": pydyf.Array([0, 0, WIDTH, HEIGHT]),
            "Contents": content.reference,
            "Resources": pydyf.Dictionary({"Font": pydyf.Dictionary({"F1": font.reference})}),
        })
    )  # fmt: skip


def _lines(w: Words) -> Iterator[str]:
    yield from (w.title, "")
    for name, text in w.facts:
        yield from _wrapped(f"{name:<10}{text}")
    yield from ("", f"{'':<42}{'Quantity':>17}{'Amount':>21}", "-" * COLUMNS)
    for row in w.rows:
        first, *rest = _wrapped(row.text, 42)
        yield f"{first:<42}{row.quantity:>17}{row.amount:>21}"
        yield from rest
        if row.detail:
            yield f"  {row.detail}"
    yield "-" * COLUMNS
    for name, text in w.sums:
        yield f"{name[:40]:>59}{text:>21}"
    yield from ("", *_wrapped(w.footer))


def _wrapped(text: str, width: int = COLUMNS) -> list[str]:
    return [text[n : n + width] for n in range(0, len(text), width)] or [""]

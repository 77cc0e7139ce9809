"""A document as one HTML file that needs nothing else."""

from html import escape

from ..domain.invoices import Invoice
from .words import Issuer, words

STYLE = (
    "body{font:14px/1.5 sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#111}"
    "table{width:100%;border-collapse:collapse}td,th{padding:.3rem .5rem;text-align:left;vertical-align:top}"
    "tbody tr{border-top:1px solid #ccc}.n{text-align:right;white-space:nowrap}small{color:#555}"
)


def html(invoice: Invoice, issuer: Issuer) -> bytes:
    """The file. Every value is escaped."""
    w = words(invoice, issuer)
    facts = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in w.facts)
    rows = "".join(
        f"<tr><td>{escape(r.text)}<br><small>{escape(r.detail)}</small></td>"
        f'<td class="n">{escape(r.quantity)}</td><td class="n">{escape(r.amount)}</td></tr>'
        for r in w.rows
    )
    sums = "".join(
        f'<tr><td></td><th class="n">{escape(name)}</th><td class="n">{escape(text)}</td></tr>' for name, text in w.sums
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(w.title)}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{escape(w.title)}</h1>\n<table>{facts}</table>\n"
        f'<table><thead><tr><th></th><th class="n">Quantity</th><th class="n">Amount</th></tr></thead>'
        f"<tbody>{rows}</tbody><tfoot>{sums}</tfoot></table>\n<p><small>{escape(w.footer)}</small></p></body></html>\n"
    ).encode()

"""The table of all rows, as text and as Markdown."""

from collections.abc import Sequence
from pathlib import Path

from .harness import HEAD, Row


class Table:
    """Collects rows. Each is printed as soon as it is there, and written to the file `out`, so that a broken run leaves some."""

    def __init__(self, machine: Sequence[str], out: Path | None = None) -> None:
        self.machine = machine
        self._out = out
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Keep a row and show it."""
        self.rows.append(row)
        print("\n" + " | ".join(cell for cell in row.cells if cell), flush=True)  # noqa: T201 - printing is its purpose
        if self._out is not None:
            self._out.write_text(self.markdown)

    @property
    def text(self) -> str:
        """Columns that stand under one another."""
        lines = [HEAD, *(row.cells for row in self.rows)]
        widths = [max(len(line[n]) for line in lines) for n in range(len(HEAD))]
        aligned = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([*self.machine, "", *(line.rstrip() for line in aligned)])

    @property
    def markdown(self) -> str:
        """The same for a page."""
        lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
        lines += ["| " + " | ".join(row.cells) + " |" for row in self.rows]
        return "\n".join([*(f"- {line}" for line in self.machine), "", *lines, ""])

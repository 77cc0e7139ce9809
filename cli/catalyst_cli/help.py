"""What `--help` says: its examples can be copied as they stand, however narrow the terminal."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer.core

_WORD = r"""(?:"[^"]*"|'[^']*'|\S)+"""
_PARTS = re.compile(rf"--[a-z-]+ (?!-){_WORD}|{_WORD}")
"""Words, and options with what follows them."""


class _Copied:
    """Help whose text is wrapped like a paragraph, and whose examples are broken as a shell takes them."""

    help: str | None

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Writes text and examples."""
        text, heading, examples = inspect.cleandoc(self.help or "").partition("Examples:\n")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text.strip())
            if heading:
                formatter.write_paragraph()
                formatter.write_text(heading.strip())
        for example in re.split(r"\n\s*\n", examples.strip("\n")):
            if example.strip():
                formatter.write(
                    "\n" + "".join(f"      {line}\n" for line in folded(example.strip(), formatter.width - 6))
                )


class Command(_Copied, typer.core.TyperCommand):
    """A command."""


class Group(_Copied, typer.core.TyperGroup):
    """Commands below a word that is one itself."""


def folded(command: str, width: int) -> Iterator[str]:
    """The lines of a command, none wider than `width` if words allow it; each but the last ends in a backslash."""
    line = ""
    for word in _PARTS.findall(command):
        if line.strip() and len(line) + 1 + len(word) > width - 2:
            yield f"{line} \\"
            line = "   "
        line = f"{line} {word}" if line else word
    yield line

"""Writes the pages; with `--check` it writes nothing and fails where one differs."""

import sys

from . import gone, made

if __name__ == "__main__":
    late = {path: text for path, text in made().items() if not path.exists() or path.read_text() != text}
    if "--check" in sys.argv[1:]:
        if late or gone():
            sys.exit(f"out of date: {', '.join(str(path) for path in (*late, *gone()))}: run script/reference")
    else:
        for path, text in late.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for path in gone():
            path.unlink()

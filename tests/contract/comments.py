"""The comments of the contracts as a file, for whoever describes the API at run time; `script/generate` writes it."""

import json
import sys
from pathlib import Path

from . import contracts


def text() -> str:
    """Full name of a service, method, message, field, enum or value that calls carry, and what is said of it."""
    told = {name: comment for name, comment in contracts.comments("service.proto", "resources.proto") if comment}
    return json.dumps(told, indent=0, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text())

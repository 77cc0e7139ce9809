"""What the page of reasons tells to do, as a file for the command line; `python -m tests.contract.remedies` writes it anew."""

import json
import re
from collections import Counter

from . import contracts

PAGE = contracts.ROOT / "docs" / "reference" / "errors.md"
FILE = contracts.ROOT / "cli" / "catalyst_cli" / "remedies.json"
COMMON = 8
"""A sentence that stands at more reasons than this says nothing of any of them."""
_WIRE = re.compile(r"violations|metadata|request_id|etag|confirm_fqdn|\b[A-Z][a-z]+[A-Z]\w+|Retry-After")
"""Words of the wire, which a person at a terminal does not write."""


def text() -> str:
    """The file as it should stand."""
    rows = re.findall(r"^\| `([A-Z_0-9]+)` \|.*\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    seen = Counter(said for _, said in rows)
    told = {
        reason: said[0].lower() + said[1:] for reason, said in rows if seen[said] <= COMMON and not _WIRE.search(said)
    }
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())

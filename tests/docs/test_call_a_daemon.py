"""The page about calling a daemon shows lines of the example, and nothing else."""

import re
from pathlib import Path

import pytest

PAGE = Path("docs/how-to/call-a-daemon.md").read_text()
EXAMPLE = Path("examples/02-call-a-daemon/call_pdm.py").read_text()


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", PAGE, re.S))
def test_each_snippet_stands_in_the_example(snippet: str) -> None:
    assert snippet in EXAMPLE

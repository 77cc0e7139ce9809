"""Folders of clusters whose daemon has died, and what their tool had still done when it ended by itself."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from . import children, commands, folders, states
from .folders import RunFolder
from .states import Kept


def left(root: RunFolder) -> Iterator[tuple[RunFolder, Mapping[str, Any]]]:
    """Folders in which nobody is at work any more, and what was held by them."""
    for path in sorted(root.path.glob(f"*/{folders.HOLDER}")):
        folder, child = RunFolder(path.parent), children.recorded(path.parent)
        if child is None or child.lives:
            continue  # without a record nobody can tell whether it lives; then patience has to end it
        with folder.alone() as is_left:
            if is_left and (held := json.loads(folder.read(folders.HOLDER) or "{}")):
                yield folder, held


def written_down(root: RunFolder, labels: Mapping[str, str], kept: Kept) -> bytes | None:
    """What has to be sealed in place of `kept`; None: nothing of these labels waits here, or it was sealed before."""
    for folder, held in left(root):
        if held["labels"] != labels:
            continue
        if kept.holder is not None and kept.holder.token == held["token"]:
            newest = states.newest(folder=folder.read(commands.STATE), sealed=kept.tool)
            return replace(kept, tool=newest, holder=None).encoded()
        folder.shred()
    return None

"""Kinds of drill."""

from enum import StrEnum


class Kind(StrEnum):
    """Values of `--kind`."""

    DRY_RUN = "dry-run"
    ISOLATED = "isolated"
    GAME_DAY = "game-day"
    KILL = "kill"

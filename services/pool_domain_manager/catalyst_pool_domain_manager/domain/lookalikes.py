"""Characters that are drawn like others, in all scripts: the whole of Unicode's list (UTS 39, section 4).

`confusables.txt` beside this module is that list, with its version; a newer one takes its place as it is.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def drawn_like() -> Mapping[int, str]:
    """What each character is drawn like, for `str.translate`. A part of the program, read when the first IDN is judged."""
    lines = files(__package__).joinpath("confusables.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(";") for line in lines if not line.startswith("#"))
    return {int(one, 16): "".join(chr(int(code, 16)) for code in others.split()) for one, others in pairs}

"""Labels in other scripts than Latin's plain letters (IDNA 2008): their two forms, and which of them pass for another.

Invariants
  one spelling   a label has one encoded form (`xn--…`), and that one decodes to what was typed, in lower case and composed;
  one script     digits and hyphens apart, all letters of a label are of one script, or of those that one language mixes;
  no double      two labels that look alike, one of them in another script, are never held at the same time.
"""

import unicodedata
from collections.abc import Iterable

import idna

PREFIX = "xn--"
MOST_OCTETS = 63
MIXED = (frozenset({"CJK", "HIRAGANA", "KATAKANA"}), frozenset({"CJK", "BOPOMOFO"}), frozenset({"CJK", "HANGUL"}))
"""Scripts that Japanese, Chinese and Korean write side by side (UTS 39, section 5.2)."""
_SAME = str.maketrans(
    {
        **dict(zip("авекмнорстухіѕјһԁԛԝӏгпьв", "abekmhopctyxisjhdqwlrnbb", strict=True)),  # Cyrillic
        **dict(zip("αβγικνορτυχωϲϳ", "abyiknoptuxwcj", strict=True)),  # Greek
        **dict(zip("օսոհցզԁ", "ounhgqd", strict=True)),  # Armenian
        **dict(zip("ⲁⲃⲅⲉⲏⲓⲕⲙⲛⲟⲡⲣⲥⲧⲩⲭⲱ", "abrehikmhonpctyxw", strict=True)),  # Coptic
        **dict(zip("ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ", "abcdefghijklmnoprstuvwxyz", strict=True)),  # Lisu
        **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),  # small capitals
        **dict(zip("ıɩɑɡłđøħŧƅɓ", "iiagldohtbb", strict=True)),
        **dict(zip("ɛꞓȼƒɠɦȷƙƚɱŋɲɍʂƫʋɣƴƶʐ", "eccfghjklmnnrstvyyzz", strict=True)),
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "m": "rn",
        "0": "o",
        "1": "l",
        "ӕ": "ae",
        "ь": "b",
    }
)  # fmt: skip - what looks alike stands above each other
"""Letters of other scripts, and of Latin's own, by what they pass for. These are the pairs that a name is likely to be forged
with, and not the whole of Unicode's list."""


class Unfit(ValueError):
    """A label that cannot be had; its words say why, and `rule` which rule it breaks."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(why)
        self.rule = rule


def is_idn(label: str) -> bool:
    """Whether a label is one of these, in either form."""
    return not label.isascii() or label.startswith(PREFIX)


def encoded(label: str) -> str:
    """The form of a label that the DNS has. Raises Unfit."""
    try:
        known = idna.ulabel(label) if label.startswith(PREFIX) else _composed(label)
        found = idna.alabel(known).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise Unfit("idn", f"it is no label of IDNA 2008: {error}") from error
    if known.isascii():  # such as the Kelvin sign, which is a K once it is composed
        raise Unfit("idn", "its letters are not those that they are taken for")
    if label.startswith(PREFIX) and found != label:
        raise Unfit("idn", "it decodes to a label that is encoded otherwise")
    if len(found) > MOST_OCTETS:
        raise Unfit("length", f"encoded it has {len(found)} octets, and {MOST_OCTETS} are the most")
    if len(seen := scripts(known)) > 1 and not any(seen <= group for group in MIXED):
        raise Unfit("script", f"its letters are of several scripts: {', '.join(sorted(seen)).lower()}")
    return found


def decoded(label: str) -> str:
    """The form of a label for people; one that is no IDN is the same in both."""
    try:
        return idna.ulabel(label) if label.startswith(PREFIX) else label
    except (idna.IDNAError, UnicodeError):
        return label


def scripts(label: str) -> frozenset[str]:
    """Scripts of the letters, as their names begin."""
    return frozenset(unicodedata.name(c, "UNKNOWN").split()[0].split("-")[0] for c in label if c.isalpha())


def skeleton(label: str) -> str:
    """What a label is taken for at a glance: equal for those that pass for each other."""
    plain = unicodedata.normalize("NFKD", decoded(label))
    digits = (str(unicodedata.digit(c, -1)) if unicodedata.digit(c, -1) >= 0 else c for c in plain)
    # Twice: some pass for a letter that passes for others itself.
    return "".join(c for c in digits if not unicodedata.combining(c)).translate(_SAME).translate(_SAME)


def double(label: str, held: Iterable[str]) -> str:
    """A held label that `label` passes for, one of the two being an IDN; empty where there is none."""
    own, is_one = skeleton(label), is_idn(label)
    others = (one for one in held if one != label and (is_one or is_idn(one)))
    return next((one for one in others if skeleton(one) == own), "")


def _composed(label: str) -> str:
    """In lower case and composed. What becomes a plain letter only by that stays as it is: nobody typed that one."""
    lower = (c.lower() if c.isascii() or not c.lower().isascii() else c for c in label)
    return unicodedata.normalize("NFC", "".join(lower))

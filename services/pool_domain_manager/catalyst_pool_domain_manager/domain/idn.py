"""Labels in other scripts than Latin's plain letters (IDNA 2008): their two forms, and which of them pass for another.

Invariants
  one spelling   a label has one encoded form (`xn--…`), and that one decodes to what was typed, in lower case and composed;
  one script     digits and hyphens apart, all letters of a label are of one script, or of those that one language mixes;
  no double      two labels that look alike, one of them in another script, are never held at the same time.
"""

import unicodedata
from collections.abc import Iterable

import idna

from .lookalikes import drawn_like

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
"""Letters by what people read them as, where Unicode's list keeps them apart: small forms of what is like a capital of ours, and
letters with a stroke or a hook. Names have no capitals, so that either form passes for the other."""


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


def skeletons(label: str) -> frozenset[str]:
    """What a label is taken for at a glance, by its letters' shapes and by how they are read: labels that have one of these in
    common pass for each other."""
    if not is_idn(label):  # as most of ten thousand held ones are
        read = label.lower().translate(_SAME)
        return frozenset({read.replace("i", "l"), read})
    # Twice: some pass for a letter that passes for others itself. Capitals stay until then, since some have a shape of their own.
    drawn = _drawn(_drawn(_drawn(decoded(label)).lower()))
    plain = unicodedata.normalize("NFKD", decoded(label))
    digits = (str(unicodedata.digit(c, -1)) if unicodedata.digit(c, -1) >= 0 else c for c in plain)
    read = _bare("".join(digits)).translate(_SAME).translate(_SAME)
    # A capital of `i` is drawn like `l`; and who reads accents over does so whatever a letter with one is drawn like.
    return frozenset({_bare(drawn).replace("i", "l"), _bare(_drawn(read)).replace("i", "l"), read})


def double(label: str, held: Iterable[str]) -> str:
    """A held label that `label` passes for, one of the two being an IDN; empty where there is none."""
    is_one = is_idn(label)
    others = [one for one in held if one != label and (is_one or is_idn(one))]
    own = skeletons(label) if others else frozenset()
    return next((one for one in others if own & skeletons(one)), "")


def _drawn(text: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFC", text).translate(drawn_like()))


def _bare(text: str) -> str:
    """In lower case, and without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()


def _composed(label: str) -> str:
    """In lower case and composed. What becomes a plain letter only by that stays as it is: nobody typed that one."""
    lower = (c.lower() if c.isascii() or not c.lower().isascii() else c for c in label)
    return unicodedata.normalize("NFC", "".join(lower))

"""How a secret may have been written by whoever let it out, and how each way is found in the midst of other text."""

import base64
import html
import json
import math
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, quote_plus

ODD = "\"\\'<&%/+= é\n"
"""Characters that each way of writing changes in its own manner."""


def _base64(encode: Callable[[bytes], bytes], ahead: int) -> Callable[[bytes], bytes]:
    """What is left of a secret in base64 if `ahead` octets of something else, of each three, stand before it."""

    def written(secret: bytes) -> bytes:
        begins = math.ceil(ahead * 8 / 6)
        whole = (ahead + len(secret)) * 8 // 6
        return encode(bytes(ahead) + secret)[begins:whole]

    return written


def _within_json(ahead: int) -> Callable[[bytes], bytes]:
    """As a document of several fields is sent."""
    write = _base64(base64.b64encode, ahead)
    return lambda secret: write(json.dumps(secret.decode(errors="replace"))[1:-1].encode())


def _text(write: Callable[[str], str]) -> Callable[[bytes], bytes]:
    return lambda secret: write(secret.decode(errors="replace")).encode()


WAYS: Mapping[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    **{
        f"{name}, {ahead} ahead": _base64(encode, ahead)
        for name, encode in (("base64", base64.b64encode), ("base64 of URLs", base64.urlsafe_b64encode))
        for ahead in range(3)
    },
    **{f"base64 of JSON, {ahead} ahead": _within_json(ahead) for ahead in range(3)},
    "hex": lambda secret: secret.hex().encode(),
    "HEX": lambda secret: secret.hex().upper().encode(),
    "json": _text(lambda text: json.dumps(text)[1:-1]),
    "json as UTF-8": _text(lambda text: json.dumps(text, ensure_ascii=False)[1:-1]),
    "json in json": _text(lambda text: json.dumps(json.dumps(text))[3:-3]),
    "percent": _text(lambda text: quote(text, safe="")),
    "percent, path": _text(quote),
    "form": _text(quote_plus),
    "percent, small": _text(lambda text: quote(text, safe="").lower()),
    "repr": _text(lambda text: repr(text)[1:-1]),
    "repr of octets": lambda secret: repr(secret)[2:-1].encode(),
    "ascii": _text(lambda text: ascii(text)[1:-1]),
    "html": _text(html.escape),
    "UTF-16": lambda secret: secret.decode(errors="replace").encode("utf-16-le"),
}  # fmt: skip


def forms(secret: str | bytes) -> Iterator[tuple[str, bytes]]:
    """Each way with what it makes of `secret`, none twice."""
    seen = set()
    for name, write in WAYS.items():
        if (written := write(secret.encode() if isinstance(secret, str) else secret)) not in seen:
            seen.add(written)
            yield name, written

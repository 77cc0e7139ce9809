"""Logs: one JSON object per line on stdout, in UTC. `event` is a constant, values are fields, secrets are cut out last."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from .calls import ongoing

_TELLTALE = re.compile(r"(?i)^(.*(password|passwd|secret|token|api_?key|authorization|credential|private_?key)).*$")
_TOKEN = re.compile(
    r"\b(?:eyJ[\w-]{8,}\.[\w-]+\.[\w-]+|rsv_[\w-]{16,})"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
    r"|(?i:(?<=bearer ))[^\s\"',]{8,}"
)
"""Tokens by their form, what stands before the host in an address, and what follows the word of RFC 6750."""


def configure(service: str, level: str = "INFO", sovereign: str = "") -> None:
    """Set up the one log of this process."""
    # A refused authorisation is a WARNING, and is always written (ASVS 16.3.2).
    lowest = min(logging.getLevelNamesMapping()[level], logging.WARNING)
    structlog.configure(
        processors=[
            _add_call,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, **({"sovereign": sovereign} if sovereign else {}))
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    if not any(isinstance(handler, _Ours) for handler in root.handlers):
        root.addHandler(_Ours())


class _Ours(logging.Handler):
    """Writes what libraries log as our own lines are written: they know nothing of secrets, and write more than one line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        log = get_logger(record.name)
        say = log.error if record.levelno >= logging.ERROR else log.warning
        try:
            say("library says", text=record.getMessage(), exc_info=record.exc_info or None)
        except Exception:  # what a library says must not break what it does
            self.handleError(record)


def get_logger(name: str) -> Any:
    """A logger whose lines say where they come from."""
    return structlog.get_logger(where=name)


def redact(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut out fields whose name tells of a secret, and what looks like a token in any text."""
    for key, value in line.items():
        line[key] = _clean(key, value)
    return line


def _clean(key: str, value: Any) -> Any:
    if _TELLTALE.match(key) and not key.endswith(("_id", "_name")):
        return "[redacted]"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(k): _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", item) for item in value]
    # The renderer would print any other object by its repr; that text is searched too.
    return cleaned(value if isinstance(value, str) else repr(value))


def cleaned(text: str) -> str:
    """`text` without what looks like a token or a password in it: for what is kept or shown of an error that anybody raised."""
    return _TOKEN.sub("[redacted]", text)


def _add_call(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    call = ongoing()
    if call is not None:
        line.update({"trace_id": call.trace_id, "span_id": call.span_id})
    if call is not None and call.method:
        line.update({"principal": call.caller.subject, "rpc": call.method})
        if call.caller.via:
            line["via"] = call.caller.via
        if call.request_id:
            line["request_id"] = call.request_id
    return structlog.contextvars.merge_contextvars(_logger, _method, line)

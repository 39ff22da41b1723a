"""Structured logs: for a person in a terminal, JSON otherwise; secrets masked wherever they turn up."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

# Our credentials by their form, and anything named like one in a URL or header. Keep a few leading characters: an
# operator recognises a key by them, as in the listings.
_TOKENS = re.compile(r"\b((?:sk|wsk|emt|stk|whs)_[A-Za-z0-9_-]{4})[A-Za-z0-9_-]+")
# Stream keys of people's own have no form: only their place tells them.
_WHIP = re.compile(r"(/whip/(?:sessions/)?[A-Za-z0-9_-]{4})[A-Za-z0-9_-]+")
_NAMED = re.compile(r"(?i)\b(key|token|secret|password|access_token)(=|%3D|\"?: ?\"?)([^&\s\"',}]{4,})")
_BEARER = re.compile(r"(?i)\b(bearer) +[A-Za-z0-9._~+/=-]{8,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^/\s:@]+):[^/\s]+@")


def mask(text: str) -> str:
    """``text`` without the secrets it carries."""
    # What each of them cannot do without is looked for first: nearly every text has none of it.
    if "_" in text:
        text = _TOKENS.sub(r"\1…", text)
    if "/whip/" in text:
        text = _WHIP.sub(r"\1…", text)
    if "eyJ" in text:
        text = _JWT.sub("eyJ…", text)
    if " " in text:
        text = _BEARER.sub(r"\1 …", text)
    if "://" in text:
        text = _USERINFO.sub(r"\1:…@", text)
    if "=" in text or ":" in text or "%3" in text:
        text = _NAMED.sub(lambda m: m[0] if "…" in m[3] else f"{m[1]}{m[2]}…", text)
    return text


def _masked(value: object) -> object:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {k: _masked(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(v) for v in value]
    return value


def _mask_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = _masked(value)
    return event


def get_logger(source: str) -> structlog.stdlib.BoundLogger:
    """A logger whose lines carry ``source``. Cheap to keep, not meant for per-frame use."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(source=source)
    return logger


def configure(level: str = "info", form: str = "auto") -> None:
    """Send logs to stderr. ``form``: ``text``, ``json``, or ``auto`` (text in a terminal)."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if text else "iso", utc=not text, key="ts"),
    ]
    if text:
        processors += [
            structlog.processors.format_exc_info,
            _mask_event,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ]
    else:
        processors += [structlog.processors.format_exc_info, _mask_event, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries log through the standard library: only what is wrong, in our form.
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(logging.WARNING)


class _Bridge(logging.Handler):
    """Standard-library log records, written as ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = get_logger(record.name.partition(".")[0])
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)

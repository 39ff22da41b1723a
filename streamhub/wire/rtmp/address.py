"""The stream key in what an encoder makes of its address.

Encoders split ``rtmp://host/live/<key>`` in their own ways, and some have one field only, or a fixed stream name.
"""

from __future__ import annotations

from urllib.parse import parse_qs

APP = "live"
_NAMES = ("key", "streamKey")


def is_our_path(app: str) -> bool:
    """Whether connect's ``app`` begins as it should: ``live``, or ``live/<key>`` of encoders that do not split."""
    segments = _path(app).split("/")
    return segments[0] == APP and len(segments) <= 2


def find_key(app: str, tc_url: str, name: str) -> str | None:
    """The stream key: of the query first (name, app, address), then the publish name, then what follows ``live/``."""
    for text in (name, app, tc_url):
        query = parse_qs(text.partition("?")[2], max_num_fields=32) if text.count("&") < 32 else {}
        for parameter in _NAMES:
            if parameter in query:
                return query[parameter][0]
    return _path(name) or _path(app).partition("/")[2] or None


def _path(text: str) -> str:
    return text.partition("?")[0].strip("/")

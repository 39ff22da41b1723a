"""What livekit-server prints, in our log: less of it, at levels that fit, and only fields that hold no secret."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import attrs

from streamhub.observe.log import get_logger, mask

MOST_LINE_BYTES = 64 * 1024
# It calls an error what a client's bad network or wrong token causes; only its end is an error of ours.
LEVELS = {"debug": "debug", "info": "debug", "warn": "info", "error": "warning", "dpanic": "error", "fatal": "error"}
# Webhook payloads carry a turn_password, requests whole tokens: what is not named here is dropped.
FIELDS = ("error", "reason", "room", "participant", "pID", "roomID", "trackID", "status", "portHttp", "signal")

log = get_logger("livekit-server")


@attrs.define(eq=False)
class Forwarder:
    """Takes bytes, logs lines. ``said`` keeps the last messages that are worse than usual."""

    said: deque[str]
    _rest: bytes = b""
    _skipping: bool = False

    def feed(self, data: bytes) -> None:
        """Log every line that ends in ``data``."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._skipping:
                self._forward(line)
            self._skipping = False
        if len(self._rest) > MOST_LINE_BYTES:
            self._rest, self._skipping = b"", True

    def _forward(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return
        entry = _parse(text)
        if entry is None:  # a usage error, or a panic and its stack
            self.said.append(mask(text[:300]))
            log.warning(text[:1000])
            return
        level = LEVELS.get(str(entry.get("level")), "info")
        message = str(entry["msg"])
        fields = {k: str(entry[k])[:500] for k in FIELDS if entry.get(k) not in (None, "")}
        if level not in ("debug", "info"):
            self.said.append(mask(": ".join([message, fields["error"]] if "error" in fields else [message])))
        getattr(log, level)(message, **fields)


def _parse(text: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "msg" in entry else None

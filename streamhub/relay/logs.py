"""What libav says, masked, on standard error; nothing of it otherwise leaves the process.

It also sees the one thing libav cannot be told to refuse: an RTSP server that sends its client elsewhere.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Final

import av.logging

from streamhub.relay.failures import mask

_MOST_LINES = 200  # of one worker: a broken stream complains about every picture
_NOISE: Final = "deprecated pixel format used"  # every JPEG has it
REDIRECT: Final = "Redirecting to"  # libavformat/rtsp.c, before it connects there


class _Lines(logging.Handler):
    def __init__(self, redirected: Callable[[], None] | None) -> None:
        super().__init__()
        self._left, self._redirected = _MOST_LINES, redirected

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if self._redirected is not None and REDIRECT in text:
            self._redirected()
        if record.levelno >= logging.WARNING and self._left > 0 and _NOISE not in text:
            self._left -= 1
            sys.stderr.write(f"{record.name}: {mask(text).strip()[:300]}\n")


def keep_libav_quiet(redirected: Callable[[], None] | None = None) -> None:
    """``redirected`` is called in libav's own thread, before the connection is made; it must not return."""
    handler = _Lines(redirected)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Redirections are said at INFO; without an interest in them WARNING spares the calls.
    av.logging.set_level(av.logging.INFO if redirected is not None else av.logging.WARNING)
    av.logging.set_skip_repeated(True)

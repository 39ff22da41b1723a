"""What libav says, masked, on standard error; nothing of it otherwise leaves the process."""

from __future__ import annotations

import logging
import sys
from typing import Final

import av.logging

from streamhub.relay.failures import mask

_MOST_LINES: Final = 200  # of one worker: a broken stream complains about every picture
_NOISE: Final = "deprecated pixel format used"  # every JPEG has it


class _Lines(logging.Handler):
    _left = _MOST_LINES

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if self._left > 0 and _NOISE not in text:
            self._left -= 1
            sys.stderr.write(f"{record.name}: {mask(text).strip()[:300]}\n")


def keep_libav_quiet() -> None:
    """Warnings and errors only, and not the same one twice in a row."""
    root = logging.getLogger()
    root.handlers[:] = [_Lines()]
    root.setLevel(logging.WARNING)
    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(True)

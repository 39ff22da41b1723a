"""ffmpeg's ``mpjpeg`` output, sans-IO: bytes in, whole JPEGs out."""

from __future__ import annotations

import re

import attrs

MOST_FRAME_BYTES = 32 * 1024 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})\r\n", re.IGNORECASE)


@attrs.define
class Splitter:
    """Cuts parts by their ``Content-length``, which ffmpeg always writes. Raises ValueError on anything else."""

    _buffer: bytearray = attrs.field(factory=bytearray)
    _wanted: int | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that ``data`` completes, oldest first."""
        self._buffer += data
        frames = []
        while self._head_done() and self._wanted is not None and len(self._buffer) >= self._wanted:
            frames.append(bytes(self._buffer[: self._wanted]))
            del self._buffer[: self._wanted]
            self._wanted = None
        return frames

    def _head_done(self) -> bool:
        if self._wanted is not None:
            return True
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > 4096:
                raise ValueError("no multipart head in 4096 bytes")
            return False
        match = _LENGTH.search(self._buffer[: end + 2])
        if match is None or int(match[1]) > MOST_FRAME_BYTES:
            raise ValueError("a part without a usable Content-length")
        self._wanted = int(match[1])
        del self._buffer[: end + 4]
        return True

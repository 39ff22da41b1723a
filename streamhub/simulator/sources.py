"""Where a camera's frames come from: the common interface, folders of JPEGs, and two wrappers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Protocol

import attrs
import trio
from PIL import Image

from streamhub.errors import StreamHubError

LEAST_QUALITY = 10
QUALITY_STEP = 10


class SourceFailed(StreamHubError):
    """There are no frames to send: a file is missing, ffmpeg ended, the folder is empty."""

    code = "source_failed"
    hint = "Check --source."


class FrameSource(Protocol):
    """Makes JPEG frames. Used by one camera at a time, unless it is ``Shared``."""

    async def next_frame(self) -> bytes:
        """The newest frame; waits for one that was not returned before. Raises SourceFailed."""
        ...

    def lower_quality(self) -> bool:
        """Make later frames smaller; False if that is not possible (any more)."""
        ...


def encode(image: Image.Image, quality: int) -> bytes:
    """The picture as a baseline JPEG with 4:2:0 chroma."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


@attrs.define
class Recompressed:
    """Frames of another source, passed on as they are until the quality has to go down."""

    inner: FrameSource
    quality: int | None = None
    _limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))

    async def next_frame(self) -> bytes:
        frame = await self.inner.next_frame()
        if self.quality is None:
            return frame
        return await trio.to_thread.run_sync(_recompress, frame, self.quality, limiter=self._limiter)

    def lower_quality(self) -> bool:
        if self.inner.lower_quality():
            return True
        if self.quality is not None and self.quality <= LEAST_QUALITY:
            return False
        self.quality = 80 if self.quality is None else self.quality - QUALITY_STEP
        return True


def _recompress(frame: bytes, quality: int) -> bytes:
    try:
        with Image.open(io.BytesIO(frame)) as image:
            return encode(image.convert("RGB"), quality)
    except (OSError, Image.DecompressionBombError) as exc:
        raise SourceFailed(f"a frame cannot be decoded: {exc}") from None


@attrs.define
class Shared:
    """One source for many cameras: frames younger than ``fresh_s`` are given to all, so each is made once."""

    inner: FrameSource
    fresh_s: float
    _lock: trio.Lock = attrs.field(factory=trio.Lock)
    _frame: bytes = b""
    _made_at: float = float("-inf")
    _lowered_at: float = float("-inf")

    async def next_frame(self) -> bytes:
        async with self._lock:
            if trio.current_time() - self._made_at >= self.fresh_s:
                self._frame = await self.inner.next_frame()
                self._made_at = trio.current_time()
            return self._frame

    def lower_quality(self) -> bool:
        # Every camera that saw the same frame asks for the same step: take it once.
        if self._lowered_at > self._made_at:
            return True
        if not self.inner.lower_quality():
            return False
        self._lowered_at = trio.current_time()
        self._made_at = float("-inf")
        return True


@attrs.define
class Folder:
    """The JPEGs of a folder in the order of their names, for ever; the folder is read again at each round.

    A path of one JPEG file is a folder of one.
    """

    path: Path
    _waiting: list[Path] = attrs.field(factory=list)
    _found_any: bool = True

    async def next_frame(self) -> bytes:
        return await trio.to_thread.run_sync(self._read_next)

    def lower_quality(self) -> bool:
        return False

    def _read_next(self) -> bytes:
        for _ in range(2):
            while self._waiting:
                try:
                    frame = self._waiting.pop().read_bytes()
                except FileNotFoundError:
                    continue  # removed since the folder was listed
                except OSError as exc:
                    raise SourceFailed(f"cannot read {exc.filename}: {exc.strerror}") from None
                if frame.startswith(b"\xff\xd8"):
                    return frame
            self._waiting = self._list()
        raise SourceFailed(f"no JPEG in {self.path}", hint="Put *.jpg files there, or choose another --source.")

    def _list(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        try:
            names = [p for p in self.path.iterdir() if p.suffix.lower() in (".jpg", ".jpeg")]
        except OSError as exc:
            raise SourceFailed(f"cannot read {self.path}: {exc.strerror}") from None
        return sorted(names, reverse=True)

"""The source of a camera of ours: JPEGs on the media pipe, each with its time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import attrs

from streamhub.relay.failures import Failure
from streamhub.relay.timeline import Timeline
from streamhub.relay.units import Unit
from streamhub.wire.jpeg import is_jpeg, jpeg_size
from streamhub.wire.relay_control import BadRelayMessage, EventReader, Picture, Start, Track

_READ = 256 * 1024


@attrs.define(eq=False)
class JpegSource:
    """As ``LibavSource``."""

    start: Start
    describe: Callable[..., None]
    take: Callable[[Unit], None]
    alive: float = attrs.field(factory=time.monotonic)
    delivered: bool = False
    _timeline: Timeline = attrs.field(factory=Timeline)
    _size: tuple[int, int] | None = None
    _doubtful: tuple[int, int] | None = None

    def run(self) -> None:
        """Until the pipe ends. Raises Failure, OSError."""
        reader = EventReader()
        while data := os.read(self.start.media_fd, _READ):
            try:
                for event in reader.receive(data):
                    if isinstance(event, Picture):
                        self._picture(event)
            except BadRelayMessage as exc:
                raise Failure(f"the pictures' pipe: {exc}", "bad_data") from None

    def leave(self, within_s: float) -> None:
        """Nobody is told."""

    def _picture(self, picture: Picture) -> None:
        size = jpeg_size(picture.jpeg) if is_jpeg(picture.jpeg) else None
        if size is None:
            return
        if size != self._size:
            # Another size is believed the second time: a damaged picture says anything.
            if self._size is not None and size != self._doubtful:
                self._doubtful = size
                return
            self._size = size
            self.describe((Track(kind="video", codec="mjpeg", width=size[0], height=size[1]),))
        self._doubtful = None
        self.alive, self.delivered = time.monotonic(), True
        at, _ = self._timeline.place("video", picture.at_ms * 1000, picture.at_ms * 1000)
        self.take(Unit("video", "mjpeg", picture.jpeg, at, at, 0, True, picture.at_ms, self.alive))

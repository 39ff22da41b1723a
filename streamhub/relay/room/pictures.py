"""Coded pictures of a room, looked at no closer than needed: key frames, their parameter sets and size."""

from __future__ import annotations

from typing import Final

import attrs
import av

from streamhub.relay.nal import begins_anew, parameter_sets, sequence_sets
from streamhub.relay.shapes import shape_of
from streamhub.wire.relay_control import Track

# LiveKit ends a track with pictures of 2x2 and 8x8.
_BLANK: Final = 16
_VP8_START: Final = b"\x9d\x01\x2a"


@attrs.frozen
class Picture:
    """Annex B with its parameter sets in front if it is a key frame of H.264."""

    data: bytes = attrs.field(repr=False)
    key: bool


@attrs.define(eq=False)
class Pictures:
    """Those of one track, in one codec (``h264`` or ``vp8``). ``track`` is what the last key frame said."""

    codec: str
    track: Track | None = None
    _sets: bytes = b""
    _known: bytes | tuple[int, int] = b""
    begun: bool = False

    def take(self, data: bytes) -> Picture | None:
        """The picture to pass on; None: nothing, or nothing yet."""
        found = self._h264(data) if self.codec == "h264" else self._vp8(data)
        if found.key:
            self.begun = self._real
        return found if self.begun and found.data else None

    def lose(self) -> None:
        """One is missing: go on at the next key frame."""
        self.begun = False

    @property
    def _real(self) -> bool:
        track = self.track
        return track is not None and min(track.width or 0, track.height or 0) > _BLANK

    def _h264(self, data: bytes) -> Picture:
        sets = parameter_sets("h264", data)
        if sets:
            self._sets = sets
        if not begins_anew(data):
            return Picture(data, key=False)
        data = data if sets else self._sets + data
        known = sequence_sets("h264", data)
        if known != self._known:
            try:
                shape = shape_of("h264", data)
            except av.error.FFmpegError:
                return Picture(b"", key=False)  # damaged, or without its sets: the next one tells
            self._known = known
            self.track = Track(
                kind="video",
                codec="h264",
                width=shape.width,
                height=shape.height,
                profile=shape.profile,
                b_frames=shape.b_frames,
            )
        return Picture(data, key=True)

    def _vp8(self, data: bytes) -> Picture:
        """RFC 6386, 9.1."""
        if len(data) < 10 or data[0] & 1 or data[3:6] != _VP8_START:
            return Picture(data, key=False)
        size = (int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF)
        if size != self._known:
            self._known = size
            self.track = Track(kind="video", codec="vp8", width=size[0], height=size[1])
        return Picture(data, key=True)

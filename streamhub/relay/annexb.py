"""H.264 and H.265 of any container, brought into one form (see ``units.py``)."""

from __future__ import annotations

from typing import Any

import attrs
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from streamhub.relay.nal import is_annex_b, parameter_sets

_FILTERS = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}


@attrs.define(eq=False)
class AnnexB:
    """``codec``: h264 or hevc."""

    codec: str
    _filter: BitStreamFilterContext | None
    _sets: bytes

    @classmethod
    def of(cls, codec: str, stream: VideoStream) -> AnnexB:
        extradata = stream.codec_context.extradata
        if is_annex_b(extradata):
            return cls(codec, None, parameter_sets(codec, extradata or b""))
        # The filter puts the headers' sets in front of key frames, and follows headers that change.
        return cls(codec, BitStreamFilterContext(_FILTERS[codec], stream), b"")

    def convert(self, packet: Any) -> bytes:
        """The picture; empty if there is none."""
        key = packet.is_keyframe
        if self._filter is not None:
            data = b"".join(bytes(made) for made in self._filter.filter(packet))
        else:
            data = bytes(packet)
        if not key or not data:
            return data
        found = parameter_sets(self.codec, data)
        if found:
            self._sets = found
            return data
        return self._sets + data

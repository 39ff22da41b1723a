"""One HLS segment as bytes: libav's own muxers, one for each segment, joined to a stream by what is said here."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Final

import attrs
import av

from streamhub.relay.shapes import packet_of

_TS_PACKET: Final = 188
_BOX = struct.Struct(">I4s")


@attrs.frozen
class Sample:
    """Of one track of a segment, in decoding order; times in microseconds."""

    track: int
    data: bytes = attrs.field(repr=False)
    pts: int
    dts: int
    duration: int
    key: bool


@attrs.frozen
class Template:
    """A stream to take the codec's parameters from; ``extradata`` for one whose own container has none."""

    stream: Any
    extradata: bytes | None = None


def mux_fmp4(templates: Iterable[Template], samples: Iterable[Sample], number: int) -> tuple[bytes, bytes]:
    """Initialisation and media of a fragment whose decode times are the samples' own (ISO/IEC 14496-12)."""
    whole = _mux(
        "mp4",
        {
            # One moof for all samples; its tfdt says the absolute time although the muxer is new.
            "movflags": "+empty_moov+default_base_moof+frag_custom+frag_discont+skip_trailer",
            "use_editlist": "0",
            "fragment_index": str(number + 1),
            "video_track_timescale": "90000",
            "avoid_negative_ts": "disabled",
            "write_tmcd": "0",
        },
        templates,
        samples,
    )
    cut = next(at for at, kind in _boxes(whole) if kind == b"moof")
    return whole[:cut], whole[cut:]


def mux_ts(templates: Iterable[Template], samples: Iterable[Sample], counters: dict[int, int]) -> bytes:
    """A segment with its own PAT and PMT; ``counters`` holds the continuity counters from one to the next."""
    data = bytearray(_mux("mpegts", {"mpegts_copyts": "1", "avoid_negative_ts": "disabled"}, templates, samples))
    for at in range(0, len(data), _TS_PACKET):
        pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
        if not data[at + 3] & 0x10:
            continue  # no payload: the counter stands still (ISO/IEC 13818-1, 2.4.3.3)
        count = (counters.get(pid, -1) + 1) & 0x0F
        counters[pid] = count
        data[at + 3] = data[at + 3] & 0xF0 | count
    return bytes(data)


def _mux(kind: str, options: dict[str, str], templates: Iterable[Template], samples: Iterable[Sample]) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind, options=options) as out:
        streams = []
        for template in templates:
            stream = out.add_stream_from_template(template.stream, opaque=True)
            if template.extradata and not stream.codec_context.extradata:
                stream.codec_context.extradata = template.extradata
            if template.stream.type == "audio":
                stream.codec_context.bit_rate = 0  # a source's is measured again and again; headers must not change
            if template.stream.type == "video":
                stream.time_base = Fraction(1, 90_000)
                if template.stream.codec_context.codec.canonical_name == "hevc":
                    stream.codec_context.codec_tag = "hvc1"  # what Apple's players ask for
            streams.append(stream)
        for one in samples:
            out.mux_one(packet_of(streams[one.track], one.data, one.pts, one.dts, one.duration, key=one.key))
    return file.getvalue()


def _boxes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _BOX.size <= len(data):
        size, kind = _BOX.unpack_from(data, at)
        yield at, kind
        at += max(size, _BOX.size)

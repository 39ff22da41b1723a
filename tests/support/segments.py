"""HLS segments as a player reads them: put together, demuxed and decoded by libav."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import attrs
import av

from streamhub.wire.relay_control import Segment


@attrs.frozen
class Played:
    """``steps``: smallest and largest distance between units in decoding order, in seconds, by kind of track."""

    codecs: dict[str, str]
    pictures: int
    sizes: tuple[tuple[int, int], ...]
    first_pts_s: float
    steps: dict[str, tuple[float, float]]
    tag: str


def play(folder: Path, segments: Sequence[Segment]) -> Played:
    """Of segments with one initialisation."""
    assert len({one.init for one in segments}) == 1
    init = segments[0].init
    data = b"" if init is None else (folder / init).read_bytes()
    data += b"".join((folder / one.name).read_bytes() for one in segments)
    times: dict[str, list[float]] = {}
    shown = []
    with av.open(io.BytesIO(data)) as container:
        codecs = {s.type: s.codec_context.codec.canonical_name for s in container.streams}
        video = container.streams.video[0] if container.streams.video else None
        tag = video.codec_context.codec_tag if video is not None else ""
        for packet in container.demux():
            if packet.dts is not None:
                times.setdefault(packet.stream.type, []).append(float(packet.dts * packet.time_base))
                if packet.stream is video and packet.pts is not None:
                    shown.append(float(packet.pts * packet.time_base))
    sizes: list[tuple[int, int]] = []
    if video is not None:
        with av.open(io.BytesIO(data)) as container:
            sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    steps = {
        kind: (min(b - a for a, b in pairwise(at)), max(b - a for a, b in pairwise(at))) for kind, at in times.items()
    }
    return Played(codecs, len(sizes), tuple(sorted(set(sizes))), min(shown, default=0.0), steps, tag)

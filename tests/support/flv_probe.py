"""Decodes a media file in a process of its own (libav): argv is the file, the answer one JSON object."""

from __future__ import annotations

import json
import sys

import av


def main() -> None:
    with av.open(sys.argv[1]) as media:
        found: dict[str, object] = {"format": media.format.name}
        streams = list(media.streams)
        for stream in streams:
            context = stream.codec_context
            found[stream.type] = {
                "codec": context.name,
                "width": getattr(context, "width", None),
                "rate": getattr(context, "sample_rate", None),
                "b_frames": getattr(context, "has_b_frames", False),
                "frames": 0,
                "backwards": 0,
            }
        last: dict[int, int] = {}
        for packet in media.demux(streams):
            about = found[packet.stream.type]
            assert isinstance(about, dict)
            if packet.dts is not None:
                about["backwards"] += packet.dts < last.get(packet.stream.index, packet.dts)
                last[packet.stream.index] = packet.dts
            about["frames"] += len(packet.decode())  # raises for what cannot be decoded
    print(json.dumps(found))


main()

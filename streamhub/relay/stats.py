"""What a source is like while it runs, measured; and what would make it cheaper or better."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import attrs

from streamhub.relay.units import Unit
from streamhub.wire.relay_control import Stats, Track

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
LONG_GOP_S = 4.0


def hints_for(tracks: tuple[Track, ...], gop_s: float | None, *, encodes_b_frames: bool) -> tuple[str, ...]:
    """What its owner could do."""
    hints = []
    video = next((track for track in tracks if track.kind == "video"), None)
    if video is not None and video.b_frames and encodes_b_frames:
        hints.append("The pictures are encoded anew for WebRTC: set B-frames to 0 in the encoder to save CPU.")
    if video is not None and video.codec == "hevc":
        hints.append("H.265 is decoded and encoded for WebRTC: use H.264, or the camera's sub-stream, to save CPU.")
    if gop_s is not None and gop_s > LONG_GOP_S:
        hints.append(
            f"Key frames come every {gop_s:.0f} s and viewers wait that long: set the key frame interval to 2 s."
        )
    return tuple(hints)


def _usage(pid: int | str) -> tuple[float, int]:
    """CPU seconds and resident bytes of a process; nothing of one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0
    return (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE


@attrs.define(eq=False)
class Meter:
    """Counted by the thread that reads, read by another."""

    frames: int = 0
    bytes: int = 0
    gop_s: float | None = None
    last_key: Unit | None = None
    _latest: int = 0
    _times: deque[tuple[float, float]] = attrs.field(factory=lambda: deque(maxlen=64))
    _at: float = attrs.field(factory=time.monotonic)
    _cpu: dict[int | str, float] = attrs.field(factory=dict)

    def count(self, unit: Unit) -> None:
        self.bytes += len(unit.data)
        if unit.kind != "video":
            return
        self.frames += 1
        self._latest = unit.pts
        self._times.append((unit.taken, unit.dts / 1e6))
        if unit.key:
            if self.last_key is not None:
                self.gop_s = (unit.pts - self.last_key.pts) / 1e6
            self.last_key = unit

    @property
    def gop_now(self) -> float | None:
        """Seconds between key frames: the last distance, or since the last one if that is more already."""
        if self.last_key is None:
            return self.gop_s
        since = (self._latest - self.last_key.pts) / 1e6
        return self.gop_s if self.gop_s is not None and self.gop_s > since else since or None

    def rate(self) -> float | None:
        """Pictures a second of late; None before there are enough. What has waited for us comes all at once."""
        if len(self._times) < 8:
            return None
        span = max(last - first for first, last in zip(self._times[0], self._times[-1], strict=True))
        return (len(self._times) - 1) / span if span > 0 else None

    def read(self, children: Iterable[int], dropped: int, hints: tuple[str, ...]) -> Stats:
        """Since the last call. CPU in percent of one core, this process and its publishers together."""
        now = time.monotonic()
        span = max(now - self._at, 0.001)
        used, rss = 0.0, 0
        seen: dict[int | str, float] = {}
        pids: list[int | str] = ["self", *children]
        for pid in pids:
            seconds, resident = _usage(pid)
            seen[pid] = seconds
            used += max(seconds - self._cpu.get(pid, 0.0), 0.0)
            rss += resident
        stats = Stats(
            fps=round(self.frames / span, 2),
            bitrate=round(self.bytes * 8 / span),
            gop_s=None if self.gop_s is None else round(self.gop_s, 3),
            cpu=round(100 * used / span, 1),
            rss=rss,
            dropped=dropped,
            hints=hints,
        )
        self.frames = self.bytes = 0
        self._at, self._cpu = now, seen
        return stats

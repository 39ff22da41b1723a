"""One publication: a source that was let in, what it has delivered, and the order to leave."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs
import trio

from streamhub.model.liveness import Meter
from streamhub.model.names import RoomKey
from streamhub.model.streams import EndOrder, SourceStatus, StreamType
from streamhub.wire.jpeg import jpeg_size

_SIZE_EVERY_S = 1.0


@attrs.define(eq=False)
class Session:
    """The live half of a stream. The door that opened it runs it inside ``scope`` and sets ``ended`` at the end."""

    room: RoomKey
    stream_id: str
    type: StreamType
    participant: str
    key_id: str | None
    started_at: datetime
    meter: Meter = attrs.field(factory=Meter)
    dropped: dict[str, int] = attrs.field(factory=dict)
    device_stats: dict[str, Any] | None = None
    stats_json: str | None = None
    last_frame_at: datetime | None = None
    size: tuple[int, int] | None = None
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    order: EndOrder | None = None
    ended: trio.Event = attrs.field(factory=trio.Event)
    _size_at: float = float("-inf")

    def end(self, order: EndOrder) -> None:
        """Make the source leave; the first order counts. Returns at once: await ``ended`` for the end."""
        if self.order is None:
            self.order = order
            self.scope.cancel()

    def accepted(self, jpeg: bytes, now: float, wall: datetime) -> None:
        """Count a frame that is about to be published; its size in pixels is looked at once a second."""
        self.meter.add(now, len(jpeg))
        self.last_frame_at = wall
        if now - self._size_at >= _SIZE_EVERY_S:
            self._size_at = now
            self.size = jpeg_size(jpeg)

    def superseded(self, jpeg: bytes, now: float) -> None:
        """Count a frame that was accepted but overtaken: a newer one came in the same read."""
        self.meter.add(now, len(jpeg))

    def drop(self, reason: str, count: int = 1) -> None:
        """Count frames that were not published."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def status(self, now: float) -> SourceStatus:
        """A snapshot for API, pages and metrics."""
        fps, bitrate = self.meter.rates(now)
        return SourceStatus(
            stream_id=self.stream_id,
            type=self.type,
            participant=self.participant,
            key_id=self.key_id,
            started_at=self.started_at,
            last_frame_at=self.last_frame_at,
            fps=round(fps, 2),
            bitrate=bitrate,
            width=self.size[0] if self.size else None,
            height=self.size[1] if self.size else None,
            codec="mjpeg" if self.type is StreamType.WS_MJPEG else None,
            frames=self.meter.frames,
            dropped=dict(self.dropped),
            stats_json=self.stats_json,
        )

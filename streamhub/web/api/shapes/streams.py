"""Streams."""

from __future__ import annotations

from typing import Literal

import attrs

from streamhub.model.clock import iso_ms, sqlite_time
from streamhub.services.streams import Stream


@attrs.frozen
class StreamAnswer:
    id: int
    app_id: int
    stream_id: str
    type: str
    room: str
    participant: str | None
    status: Literal["active", "ended"]
    state: str
    state_since: str
    started_at: str
    ended_at: str | None
    end_reason: str | None
    last_stats_json: str | None
    last_frame_at: str | None
    fps: float | None
    bitrate: int | None
    width: int | None
    height: int | None
    codec: str | None
    viewers: dict[str, int] | None


def shown(stream: Stream) -> StreamAnswer:
    """A stream as the API shows it; what only a live source has is null otherwise."""
    row, source = stream.row, stream.source
    return StreamAnswer(
        id=row.id,
        app_id=row.app_id,
        stream_id=row.stream_id,
        type=row.type,
        room=row.room,
        participant=row.participant,
        status="active" if row.ended_at is None else "ended",
        state=stream.state.value,
        state_since=iso_ms(stream.since),
        started_at=sqlite_time(row.started_at),
        ended_at=None if row.ended_at is None else sqlite_time(row.ended_at),
        end_reason=row.end_reason,
        last_stats_json=stream.last_stats_json,
        last_frame_at=iso_ms(source.last_frame_at) if source and source.last_frame_at else None,
        fps=round(source.fps, 2) if source and source.fps is not None else None,
        bitrate=source.bitrate if source else None,
        width=source.width if source else None,
        height=source.height if source else None,
        codec=source.codec if source else None,
        viewers=stream.viewers,
    )

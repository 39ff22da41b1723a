"""``/apps/<app>/streams``."""

from __future__ import annotations

from typing import Literal

import attrs

from streamhub.model.clock import iso_ms, sqlite_time
from streamhub.services.fields import Page
from streamhub.services.streams import Stream
from streamhub.web.auth import APP_MANAGE, APP_READ
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route


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
        fps=round(source.fps, 2) if source else None,
        bitrate=source.bitrate if source else None,
        width=source.width if source else None,
        height=source.height if source else None,
        codec=source.codec if source else None,
        viewers=stream.viewers,
    )


async def list_streams(deps: Deps, call: Call) -> Page[StreamAnswer]:
    page = await deps.services.streams.page(call.loaded_app, call.query)
    return Page([shown(s) for s in page.items], page.total, page.paging)


async def get_stream(deps: Deps, call: Call) -> StreamAnswer:
    return shown(await deps.services.streams.get(call.loaded_app, call.path["stream_id"]))


async def delete_stream(deps: Deps, call: Call) -> None:
    await deps.services.streams.delete(call.loaded_app, call.path["stream_id"])


# A stream id holds a slash. It may come as it is or as %2F: ASGI hands us the decoded path.
ROUTES = (
    Route(
        method="GET",
        path="/apps/<app>/streams",
        summary="Active streams, newest first",
        auth=APP_READ,
        handler=list_streams,
        answer=StreamAnswer,
        paged=True,
    ),
    Route(
        method="GET",
        path="/apps/<app>/streams/<path:stream_id>",
        summary="One stream, active or ended",
        auth=APP_READ,
        handler=get_stream,
        answer=StreamAnswer,
    ),
    Route(
        method="DELETE",
        path="/apps/<app>/streams/<path:stream_id>",
        summary="Disconnect the source of a stream",
        auth=APP_MANAGE,
        handler=delete_stream,
        status=204,
    ),
)

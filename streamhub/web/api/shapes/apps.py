"""Apps and their figures."""

from __future__ import annotations

from typing import Literal

import attrs

from streamhub.model.clock import sqlite_time
from streamhub.services.apps import App
from streamhub.services.features import Features


@attrs.frozen
class AppAnswer:
    id: int
    name: str
    display_name: str
    room_prefix: str
    livekit_room_prefix: str
    features: Features
    callback_url: str | None
    callback_secret: Literal["***"] | None
    created_at: str
    updated_at: str


@attrs.frozen
class DeletedApp:
    deleted: bool
    name: str


@attrs.frozen
class AppName:
    name: str
    display_name: str


@attrs.frozen
class RoomLine:
    room: str
    state: str
    viewers: dict[str, int]
    publishers: int
    started_at: str


@attrs.frozen
class AppLive:
    active_streams: int
    total_viewers: int
    rooms: tuple[RoomLine, ...]


@attrs.frozen
class AppIngress:
    total: int
    active: int


@attrs.frozen
class AppStatsAnswer:
    ts: str
    app: AppName
    live: AppLive
    ingress: AppIngress


def shown(app: App) -> AppAnswer:
    """An app as the API shows it: secrets masked."""
    return AppAnswer(
        id=app.id,
        name=app.name,
        display_name=app.display_name,
        room_prefix=app.room_prefix,
        livekit_room_prefix=app.room_prefix,
        features=app.features,
        callback_url=app.callback_url,
        callback_secret="***" if app.has_callback_secret else None,
        created_at=sqlite_time(app.created_at),
        updated_at=sqlite_time(app.updated_at),
    )

"""Camera keys, and whether a room is live."""

from __future__ import annotations

from typing import Literal

import attrs

from streamhub.model.clock import sqlite_time
from streamhub.model.names import RoomKey, RoomName
from streamhub.model.streams import StreamType
from streamhub.model.urls import Base, RoomUrls
from streamhub.services.apps import App
from streamhub.services.keys import CameraKey, IssuedKey


@attrs.frozen
class KeyAnswer:
    id: str
    room: str
    key_prefix: str
    active: bool
    identity: str
    created_at: str
    last_used_at: str | None
    idle_timeout_sec: int
    takeover: bool


@attrs.frozen
class NewKeyAnswer:
    id: str
    stream_key: str = attrs.field(repr=False)
    room: str
    identity: str
    key_prefix: str
    idle_timeout_sec: int
    takeover: bool
    ws_url: str
    viewer_ws_url: str
    mjpeg_url: str
    frame_url: str
    player_url: str
    embed_url: str


@attrs.frozen
class DeletedKey:
    id: str
    deleted: bool


@attrs.frozen
class LiveRoom:
    active: Literal[True]
    type: StreamType
    room: str
    state: str
    mjpeg_url: str
    frame_url: str
    ws_url: str


@attrs.frozen
class NoLiveRoom:
    active: Literal[False]
    type: None
    room: str


def shown(key: CameraKey) -> KeyAnswer:
    """A key as the API lists it."""
    return KeyAnswer(
        id=key.id,
        room=key.room,
        key_prefix=key.key_prefix,
        active=key.active,
        identity=key.identity,
        created_at=sqlite_time(key.created_at),
        last_used_at=None if key.last_used_at is None else sqlite_time(key.last_used_at),
        idle_timeout_sec=key.idle_timeout_s,
        takeover=key.takeover,
    )


def shown_new(app: App, issued: IssuedKey, base: Base) -> NewKeyAnswer:
    """A new key with its secret and every URL of its room."""
    key = issued.key
    urls = RoomUrls(base, RoomKey(app.name, RoomName(key.room)))
    # The contract writes the room into the socket URLs as it was asked for, into the others namespaced.
    sockets = RoomUrls(base, RoomKey(app.name, RoomName(key.room_given)))
    return NewKeyAnswer(
        id=key.id,
        stream_key=issued.secret,
        room=key.room,
        identity=key.identity,
        key_prefix=key.key_prefix,
        idle_timeout_sec=key.idle_timeout_s,
        takeover=key.takeover,
        ws_url=sockets.ingest_ws,
        viewer_ws_url=sockets.viewer_ws,
        mjpeg_url=urls.mjpeg,
        frame_url=urls.frame,
        player_url=urls.play,
        embed_url=urls.embed,
    )

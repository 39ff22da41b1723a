"""Join tokens."""

from __future__ import annotations

from typing import Literal

import attrs

from streamhub.model.urls import Base, RoomUrls
from streamhub.services.join_tokens import JoinToken, NewJoinToken


@attrs.frozen
class JoinTokenAnswer:
    token: str
    app: str
    room: str
    identity: str
    hidden: bool
    audio_only: bool
    adaptive: bool
    ws_url: str
    play_url: str
    embed_url: str
    iframe: str
    studio_url: str | None


@attrs.frozen
class PlayTokenAnswer:
    token: str
    app: str
    room: str
    ws_url: str
    mode: Literal["viewer"]


@attrs.frozen
class PlayTokenQuery:
    """Who asks."""

    token: str | None = None


def shown(made: JoinToken, new: NewJoinToken, base: Base, ws_url: str) -> JoinTokenAnswer:
    """A join token with all the addresses of its room.

    ``adaptive``: LiveKit serves simulcast layers by itself. ``studio_url``, for one that may publish, holds the token
    in its fragment: browsers keep that to themselves.
    """
    urls = RoomUrls(base, made.room)
    return JoinTokenAnswer(
        token=made.token,
        app=made.room.app,
        room=made.room.room,
        identity=made.identity,
        hidden=new.hidden,
        audio_only=new.audio_only,
        adaptive=not new.audio_only,
        ws_url=ws_url,
        play_url=urls.play,
        embed_url=urls.embed,
        iframe=urls.iframe,
        studio_url=f"{urls.studio}#token={made.token}" if new.publishes else None,
    )

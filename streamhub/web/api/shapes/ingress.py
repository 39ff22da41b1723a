"""Ingresses. The contract has some names in snake case, and the stream key in both spellings."""

from __future__ import annotations

from typing import Any

import attrs

from streamhub.model.clock import iso_ms, sqlite_time
from streamhub.model.names import RoomKey, RoomName
from streamhub.model.urls import Base, RoomUrls
from streamhub.services.apps import App
from streamhub.services.ingress import Ingress, IssuedIngress

WHIP_PATH = "/whip"


def _wire(name: str, *, secret: bool = False) -> Any:
    return attrs.field(metadata={"wire": name}, repr=not secret)


@attrs.frozen(kw_only=True)
class IngressAnswer:
    ingress_id: str
    input_type: str
    url: str
    room_name: str
    room: str
    participant_identity: str
    participant_name: str | None
    name: str
    key_prefix: str
    enabled: bool
    status: str
    bitrate: int | None
    width: int | None
    height: int | None
    viewers: int | None
    started_at: str | None
    created_at: str
    last_used_at: str | None
    requires_password: bool = _wire("requires_password")


@attrs.frozen(kw_only=True)
class NewIngressAnswer:
    ingress_id: str
    input_type: str
    url: str
    stream_key: str = attrs.field(repr=False)
    stream_key_again: str = _wire("stream_key", secret=True)
    whip_url: str = _wire("whip_url", secret=True)
    room_name: str
    participant_identity: str
    participant_name: str | None
    key_prefix: str
    requires_password: bool = _wire("requires_password")
    adaptive: bool
    player_url: str = _wire("player_url")
    embed_iframe: str = _wire("embed_iframe")


@attrs.frozen
class DeletedIngress:
    ingress_id: str
    deleted: bool


def shown(app: App, one: Ingress, base: Base) -> IngressAnswer:
    """An ingress as the API lists it."""
    return IngressAnswer(
        ingress_id=one.id,
        input_type=one.input_type.value,
        url=base.http + WHIP_PATH,
        room_name=one.room,
        room=one.room_given,
        participant_identity=one.identity,
        participant_name=one.name,
        name=app.name + one.room.removeprefix(app.room_prefix),  # the contract's <app>-<room>
        key_prefix=one.key_prefix,
        enabled=one.enabled,
        status=one.state.value,
        bitrate=None,  # LiveKit does not tell
        width=one.width,
        height=one.height,
        viewers=None,
        started_at=None if one.started_at is None else iso_ms(one.started_at),
        created_at=sqlite_time(one.created_at),
        last_used_at=None if one.last_used_at is None else sqlite_time(one.last_used_at),
        requires_password=False,
    )


def shown_new(app: App, issued: IssuedIngress, base: Base) -> NewIngressAnswer:
    """A new ingress with its stream key and every address of its room."""
    one = issued.ingress
    urls = RoomUrls(base, RoomKey(app.name, RoomName(one.room)))
    server = base.http + WHIP_PATH
    return NewIngressAnswer(
        ingress_id=one.id,
        input_type=one.input_type.value,
        url=server,
        stream_key=issued.secret,
        stream_key_again=issued.secret,
        whip_url=f"{server}/{issued.secret}",
        room_name=one.room,
        participant_identity=one.identity,
        participant_name=one.name,
        key_prefix=one.key_prefix,
        requires_password=False,
        adaptive=False,
        player_url=urls.play,
        embed_iframe=urls.iframe,
    )

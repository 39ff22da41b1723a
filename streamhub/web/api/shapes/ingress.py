"""Ingresses. The contract has some names in snake case, and the stream key in both spellings."""

from __future__ import annotations

from typing import Any

import attrs

from streamhub.model.clock import iso_ms, sqlite_time
from streamhub.model.ingress import InputType
from streamhub.model.names import RoomKey, RoomName
from streamhub.model.streams import RoomStatus
from streamhub.model.urls import Base, RoomUrls
from streamhub.services.apps import App
from streamhub.services.ingress_values import Ingress, IssuedIngress

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
    state: str
    bitrate: int | None
    width: int | None
    height: int | None
    fps: float | None
    codec: str | None
    keyframe_interval: float | None
    hints: tuple[str, ...]
    viewers: int | None
    started_at: str | None
    last_error: str | None
    retry_at: str | None
    on_demand: bool | None
    transport: str | None
    max_gop_seconds: float | None
    max_height: int | None
    created_at: str
    last_used_at: str | None
    requires_password: bool = _wire("requires_password")


@attrs.frozen(kw_only=True)
class NewIngressAnswer:
    ingress_id: str
    input_type: str
    url: str
    stream_key: str | None = attrs.field(repr=False)
    stream_key_again: str | None = _wire("stream_key", secret=True)
    whip_url: str | None = _wire("whip_url", secret=True)
    rtmp_url: str | None = _wire("rtmp_url", secret=True)
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


def shown(app: App, one: Ingress, base: Base, room: RoomStatus | None) -> IngressAnswer:
    """An ingress as the API lists it; ``room`` as it is now."""
    doing, pull = one.activity, one.pull
    return IngressAnswer(
        ingress_id=one.id,
        input_type=one.input_type.value,
        url=_url(one, base),
        room_name=one.room,
        room=one.room_given,
        participant_identity=one.identity,
        participant_name=one.name,
        name=app.name + one.room.removeprefix(app.room_prefix),  # the contract's <app>-<room>
        key_prefix=one.key_prefix,
        enabled=one.enabled,
        status=doing.state.value,
        state=doing.state.liveness.value,
        bitrate=doing.bitrate,  # of our own WHIP LiveKit does not tell it
        width=doing.width,
        height=doing.height,
        fps=doing.fps,
        codec=doing.codec,
        keyframe_interval=doing.keyframe_interval_s,
        hints=doing.hints,
        viewers=sum(room.viewers.values()) if room is not None and doing.state.active else None,
        started_at=None if doing.started_at is None else iso_ms(doing.started_at),
        last_error=doing.error,
        retry_at=None if doing.retry_at is None else iso_ms(doing.retry_at),
        on_demand=pull.on_demand if pull else None,
        transport=pull.transport.value if pull else None,
        max_gop_seconds=pull.max_gop_s or None if pull else None,
        max_height=pull.max_height or None if pull else None,
        created_at=sqlite_time(one.created_at),
        last_used_at=None if one.last_used_at is None else sqlite_time(one.last_used_at),
        requires_password=False,
    )


def shown_new(app: App, issued: IssuedIngress, base: Base) -> NewIngressAnswer:
    """A new ingress with its stream key and every address of its room."""
    one = issued.ingress
    urls = RoomUrls(base, RoomKey(app.name, RoomName(one.room)))
    server = _url(one, base)
    with_key = None if issued.secret is None else f"{server}/{issued.secret}"
    return NewIngressAnswer(
        ingress_id=one.id,
        input_type=one.input_type.value,
        url=server,
        stream_key=issued.secret,
        stream_key_again=issued.secret,
        whip_url=with_key if one.input_type is InputType.WHIP else None,
        rtmp_url=with_key if one.input_type is InputType.RTMP else None,
        room_name=one.room,
        participant_identity=one.identity,
        participant_name=one.name,
        key_prefix=one.key_prefix,
        requires_password=False,
        adaptive=one.adaptive,
        player_url=urls.play,
        embed_iframe=urls.iframe,
    )


def _url(one: Ingress, base: Base) -> str:
    """Where its encoder goes, or what is pulled."""
    if one.url is not None:
        return one.url if one.input_type.pulled else one.url.rstrip("/")
    if one.input_type is InputType.RTMP:
        return f"rtmp://{base.hostname}:{one.rtmp_port}/live"
    return base.http + WHIP_PATH

"""Ingresses that LiveKit's own ingress service takes in: what may be asked for, making them, what they are doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

import attrs
import trio

from streamhub.errors import FieldProblem, StreamHubError, Unavailable
from streamhub.ingest.livekit_ingress import IngressWatch
from streamhub.livekit.ingresses import IngressWish, LiveIngress
from streamhub.model.ingress import Activity, BookedIngress, IngressState, InputType
from streamhub.model.names import RoomKey
from streamhub.model.streams import RoomStatus
from streamhub.model.urls import with_rtmp_app, without_credentials
from streamhub.observe.log import get_logger
from streamhub.services.ingress_values import NewIngress
from streamhub.services.pulls import pull_fields
from streamhub.store import ingress as rows
from streamhub.store.db import Database, Store
from streamhub.store.ingress import IngressRow

PULLS = ("http", "https", "srt")
# LiveKit's keys have 12 characters, so less of them is shown than of ours.
SHOWN_OF_KEY = 3
SETTLE_S = 5.0
NO_RTSP = "LiveKit's ingress service cannot pull RTSP: make it with inputType 'rtsp', which StreamHub pulls itself"
LOST = "LiveKit no longer has this ingress: rotate its key to make it anew, or delete it (a pull: delete it)"
log = get_logger("ingress")


class MakesIngresses(Protocol):
    """What is asked of LiveKit; ``livekit.ingresses.IngressApi`` in the server."""

    async def create(self, wish: IngressWish) -> LiveIngress:
        """Make one. Raises BadRequest, Unavailable."""
        ...

    async def delete(self, livekit_id: str) -> None:
        """Remove one. Raises NotFound, Unavailable."""
        ...


@attrs.frozen
class IngressBookRows:
    """Implements ``model.ingress.IngressBook`` over the store."""

    store: Store

    async def booked(self) -> tuple[list[BookedIngress], list[str]]:
        """Those that should be there, and LiveKit's ids of those that should go."""
        return await self.store.read(_booked)

    async def removed(self, livekit_id: str) -> None:
        """That one has gone."""
        await self.store.write(rows.removed, livekit_id)


@attrs.frozen
class LiveKitIngresses:
    """``chosen``: new ingresses are made in LiveKit. ``rtmp_url``: where encoders reach its RTMP, if we were told.

    ``publication`` finds what a stream of a room is publishing now.
    """

    api: MakesIngresses
    watch: IngressWatch
    publication: Callable[[RoomKey, str], RoomStatus | None]
    chosen: bool = False
    rtmp_url: str | None = None

    async def make(self, wish: IngressWish) -> LiveIngress:
        """The new ingress in LiveKit. Raises BadRequest, Unavailable."""
        live = await self.api.create(wish)
        if live.input_type is InputType.WHIP and not live.url:
            await self.undo(live)
            raise Unavailable(
                "livekit-server does not say where its WHIP encoders should go",
                code="ingress_no_url",
                hint="Set ingress.whip_base_url in livekit-server's configuration, or unset STREAMHUB_INGRESS:"
                " StreamHub takes WHIP itself.",
            )
        self.watch.saw(live)
        return live

    async def undo(self, live: LiveIngress) -> None:
        """Remove one that got no row; if that fails, LiveKit keeps an ingress whose key nobody was told (logged)."""
        try:
            await self.api.delete(live.id)
        except StreamHubError as exc:
            log.warning("an ingress stays in LiveKit", ingress=live.id, error=exc.message)

    async def settle(self) -> None:
        """LiveKit follows our rows now; what does not work within five seconds is tried again by the watcher."""
        with trio.move_on_after(SETTLE_S):
            await self.watch.look()

    def url(self, row: IngressRow) -> str | None:
        """Where its encoder goes, or what it pulls; None for RTMP if neither a setting nor LiveKit says it."""
        if row.input_type == InputType.RTMP.value and self.rtmp_url is not None:
            return with_rtmp_app(self.rtmp_url)
        return row.url or None

    def activity(self, room: RoomKey, row: IngressRow) -> Activity:
        """What its source is doing: the participant in the room decides, then what LiveKit says."""
        livekit_id = row.livekit_id or ""
        if self.watch.is_lost(livekit_id):
            return Activity(IngressState.ERROR, error=LOST)
        problem = self.watch.problem
        error = f"LiveKit cannot be asked: {problem.message}" if problem is not None else None
        live = self.watch.find(livekit_id)
        status = self.publication(room, f"{row.room}/{row.identity}")
        source = status.source if status is not None else None
        if source is not None and source.type is not InputType(row.input_type).stream_type:
            source = None  # somebody else who uses the same identity
        if source is not None:
            state = IngressState.PUBLISHING
        elif live is None:
            return Activity(IngressState.INACTIVE, error=error)
        else:
            state = IngressState.BUFFERING if live.state is IngressState.PUBLISHING else live.state
        started = (live.started_at if live else None) or (source.started_at if source else None)
        return Activity(
            state,
            started_at=started if state.active else None,
            last_came_at=started,
            error=(live.error if live and state is IngressState.ERROR else None) or error,
            bitrate=live.bitrate if live and state.active else None,
            width=(live.width if live and state.active else None) or (source.width if source else None),
            height=(live.height if live and state.active else None) or (source.height if source else None),
        )

    def count_active(self, found: list[IngressRow]) -> int:
        """How many of them have a source."""
        live = [self.watch.find(row.livekit_id or "") for row in found]
        return sum(1 for one in live if one is not None and one.state.active)


def shown_url(live: LiveIngress) -> str:
    """LiveKit's URL of an ingress, as it is stored and shown."""
    return without_credentials(live.url) if live.input_type is InputType.URL else live.url


def refused_there(new: NewIngress) -> list[FieldProblem]:
    """What of a request LiveKit could not do."""
    found: list[FieldProblem] = []
    kind, url = new.input_type, new.url
    if kind is not InputType.URL and url is not None:
        found.append(FieldProblem("url", f"does not go with '{kind.value}': the encoder comes to LiveKit"))
    elif kind is InputType.URL and url is None:
        found.append(FieldProblem("url", "is required with 'url': what LiveKit pulls"))
    elif url is not None and url.partition("://")[0].lower() in ("rtsp", "rtsps"):
        found.append(FieldProblem("url", NO_RTSP))
    elif url is not None and not _pullable(url):
        found.append(FieldProblem("url", f"expected {', '.join(f'{s}://' for s in PULLS)} and a host"))
    found += [FieldProblem(name, "does not go with LiveKit's ingress service") for name in pull_fields(new)]
    if not new.enabled:
        found.append(FieldProblem("enabled", "LiveKit makes ingresses switched on; PATCH it then"))
    if new.stream_key is not None:
        found.append(FieldProblem("streamKey", "LiveKit makes the stream keys of its ingresses itself"))
    if new.enable_transcoding is False and kind in (InputType.RTMP, InputType.URL):
        found.append(FieldProblem("enableTranscoding", f"LiveKit always transcodes '{kind.value}'"))
    return found


def _pullable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in PULLS and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        return False


def _booked(db: Database) -> tuple[list[BookedIngress], list[str]]:
    found = rows.in_livekit(db)
    return [BookedIngress(r.livekit_id, r.room, r.enabled) for r in found if r.livekit_id], rows.removals(db)

"""Join tokens: the JWTs by which people and programs enter a LiveKit room, or watch a private one."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable

import attrs

from streamhub.errors import FieldProblem, Invalid
from streamhub.livekit.tokens import VIEWER_ATTRIBUTE, JoinGrant, LiveKitKeys, mint_join_token
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.durations import EXPECTED, format_duration, parse_duration
from streamhub.model.names import ROOM_NAME, RoomKey
from streamhub.model.urls import Base
from streamhub.services.access import Access
from streamhub.services.apps import App
from streamhub.services.fields import PRINTABLE, Check, declared, length, like

DEFAULT_TTL_S = 6 * 3600
PUBLIC_VIEWER_TTL_S = 6 * 3600
PRIVATE_VIEWER_TTL_S = 5 * 60


def _is_duration(value: str | int) -> bool:
    try:
        parse_duration(value)
    except ValueError:
        return False
    return len(str(value)) <= 20


@attrs.frozen
class NewJoinToken:
    """A request for a join token."""

    room: str | None = declared(
        "The room, short or with the app's prefix; default: the room named as the prefix.",
        like(ROOM_NAME, "1 to 120 of letters, digits, '.', '_' and '-'"),
        default=None,
    )
    identity: str | None = declared(
        "Who joins; somebody of the same identity is put out. Default: a made-up one.",
        length(1, 120),
        PRINTABLE,
        default=None,
    )
    name: str | None = declared("Name for people.", length(1, 120), PRINTABLE, default=None)
    can_publish: bool | None = declared("May send; default: yes, unless hidden or recorder.", default=None)
    can_subscribe: bool = declared("May receive.", default=True)
    ttl: str | int | None = declared(
        'How long it may be used to join: seconds, or "90m", "1h", "2 days"; default: 6 hours.',
        Check(_is_duration, EXPECTED),
        default=None,
    )
    metadata: str | None = declared("Any text the others in the room may read.", length(0, 2000), default=None)
    hidden: bool = declared("Not seen by the others; may not publish.", default=False)
    recorder: bool = declared("A recorder: grants roomRecord.", default=False)
    audio_only: bool = declared("What it publishes is limited to the microphone.", default=False)

    @property
    def publishes(self) -> bool:
        """Whether its bearer may send."""
        return not (self.hidden or self.recorder) if self.can_publish is None else self.can_publish


@attrs.frozen
class JoinToken:
    """A minted token and where it leads."""

    token: str = attrs.field(repr=False)
    room: RoomKey
    identity: str


@attrs.frozen(kw_only=True)
class JoinRules:
    """From the settings: the longest lives of tokens, and LiveKit's WebSocket if it is not ours (None: it is)."""

    publish_ttl_s: int = 24 * 3600
    view_ttl_s: int = 7 * 24 * 3600
    ws_url: str | None = None

    def ws_of(self, base: Base) -> str:
        """Where LiveKit clients connect that reach us at ``base``: its signalling is piped through our own port."""
        return self.ws_url or base.ws


@attrs.frozen
class JoinTokens:
    """The use cases of ``/apps/<app>/tokens`` and ``/play-token``.

    ``require_livekit`` raises Unavailable while there is no LiveKit. ``expecting`` hears for which room somebody got a
    token to watch.
    """

    keys: LiveKitKeys
    access: Access
    rules: JoinRules = attrs.field(factory=JoinRules)
    require_livekit: Callable[[], None] = lambda: None
    now: WallClock = utc_now
    expecting: Callable[[RoomKey], None] = lambda _room: None

    def create(self, app: App, new: NewJoinToken) -> JoinToken:
        """A token as asked for; the caller has been authorised for the app. Raises Invalid.

        Works without LiveKit too: a token that may subscribe also opens the room's pictures in a private app.
        """
        if new.hidden and new.can_publish:
            raise _invalid("canPublish", "somebody hidden cannot publish: leave out one of the two")
        longest = self.rules.publish_ttl_s if new.publishes else self.rules.view_ttl_s
        ttl_s = min(DEFAULT_TTL_S, longest) if new.ttl is None else parse_duration(new.ttl)
        if ttl_s > longest:
            what = "publish" if new.publishes else "only watch"
            raise _invalid("ttl", f"expected at most {format_duration(longest)} for a token that may {what}")
        room = app.room(new.room or "")
        identity = new.identity or f"anon-{uuid.uuid4()}"
        grant = JoinGrant(
            room=room.room,
            identity=identity,
            name=new.name,
            metadata=new.metadata,
            can_publish=new.publishes,
            can_subscribe=new.can_subscribe,
            can_publish_data=True,
            hidden=new.hidden,
            recorder=new.recorder,
            sources=("microphone",) if new.audio_only else (),
        )
        if new.can_subscribe:
            self.expecting(room)
        return JoinToken(mint_join_token(self.keys, grant, self.now(), ttl_s), room, identity)

    async def play(self, app: str, room: str, token: str | None) -> JoinToken:
        """A hidden viewer's token. Raises as ``Access.authorise_viewer``, and Unavailable without LiveKit.

        One made from another token ends with it at the latest: nobody prolongs a stay by asking again and again.
        """
        view = await self.access.authorise_viewer(app, room, token)
        self.require_livekit()
        now = self.now()
        ttl_s = PUBLIC_VIEWER_TTL_S
        if view.expires_at is not None:
            ttl_s = min(PRIVATE_VIEWER_TTL_S, max(1, int((view.expires_at - now).total_seconds())))
        identity = f"viewer-{secrets.token_hex(4)}"
        public = {VIEWER_ATTRIBUTE: "public"} if view.expires_at is None else {}
        grant = JoinGrant(room=view.room.room, identity=identity, can_subscribe=True, hidden=True, attributes=public)
        self.expecting(view.room)
        return JoinToken(mint_join_token(self.keys, grant, now, ttl_s), view.room, identity)


def _invalid(path: str, message: str) -> Invalid:
    return Invalid(f"the body is not valid: {path}: {message}", fields=[FieldProblem(path, message)])

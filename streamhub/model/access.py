"""Who may do what: principals of the REST API, what a camera key grants, who may watch.

``ingest`` and ``playback`` ask through the Protocols here; ``services.access`` answers.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Protocol

import attrs

from streamhub.errors import Forbidden
from streamhub.model.names import AppName, RoomKey


class Right(enum.Enum):
    """What a token may do: read (GET), publish (bring media in), manage (everything else)."""

    READ = "read"
    PUBLISH = "publish"
    MANAGE = "manage"


class Scope(enum.Enum):
    """Where a token may do it: everywhere, or in one app."""

    GLOBAL = "global"
    APP = "app"


@attrs.frozen
class Principal:
    """An authenticated caller. ``app`` is set exactly when the scope is ``APP``."""

    token_id: int
    name: str
    scope: Scope
    rights: frozenset[Right]
    app: AppName | None = None

    def require(self, right: Right, app: str | None = None) -> None:
        """Return if the caller may do this; ``app=None`` means the whole server. Raises Forbidden."""
        if right not in self.rights:
            raise Forbidden(
                f"this token lacks the right '{right.value}'",
                code="missing_right",
                hint=f"Create a token with rights including '{right.value}'.",
            )
        if self.scope is Scope.GLOBAL:
            return
        if app is None:
            raise Forbidden(
                "this needs a token of global scope", code="global_scope_required", hint="Use a global-scope token."
            )
        if app != self.app:
            raise Forbidden(
                f"app '{app}' is outside this credential's app scope",
                code="outside_app_scope",
                hint=f"Use a token of app '{app}' or a global one.",
            )


@attrs.frozen
class CameraHello:
    """What a camera said in its handshake, syntax checked, nothing looked up."""

    app: str
    room: str
    key: str
    identity: str | None
    client_ip: str


@attrs.frozen
class CameraLimits:
    """What a camera may send. ``max_cameras`` counts the app's live cameras; 0 means no cap."""

    max_fps: int = 15
    max_frame_bytes: int = 262_144
    idle_timeout_s: float = 30.0
    max_cameras: int = 0


@attrs.frozen
class CameraGrant:
    """An accepted camera: which room it publishes to, as whom, within which limits."""

    room: RoomKey
    key_id: str
    identity: str
    limits: CameraLimits
    takeover: bool = False

    @property
    def stream_id(self) -> str:
        """The stream's public id: ``<namespaced room>/<identity>``."""
        return f"{self.room.room}/{self.identity}"


@attrs.frozen
class Refusal:
    """Why a camera is turned away: the WebSocket close code (44xx), the contract's text, the close reason."""

    close_code: int
    message: str
    reason: str = attrs.field(default=attrs.Factory(lambda self: self.message, takes_self=True))


class CameraAuthority(Protocol):
    """Decides about cameras; implemented by ``services.access``."""

    async def authorise_camera(self, hello: CameraHello) -> CameraGrant | Refusal:
        """Checks 5–8 of the handshake table: app, key, switch, room."""
        ...


@attrs.frozen
class ViewerLimits:
    """Most viewers at a time, of one room and of all rooms of the app; 0 means no cap."""

    per_room: int = 0
    per_app: int = 0


@attrs.frozen
class ViewGrant:
    """A viewer let in: the room, the app's caps, and until when (None: as long as it likes).

    ``private``: not everybody is; nothing on the way may keep what this one gets.
    """

    room: RoomKey
    limits: ViewerLimits
    expires_at: datetime | None = None
    private: bool = False


class ViewerAuthority(Protocol):
    """Decides about viewers of ``/live``; implemented by ``services.access``."""

    async def authorise_viewer(self, app: str, room: str, token: str | None) -> ViewGrant:
        """Raises NotFound for an unknown app or impossible room name, Unauthorized for a private one."""
        ...

    def viewer_at_once(self, app: str, room: str, token: str | None) -> ViewGrant | None:
        """What ``authorise_viewer`` would return or raise now, if that needs no waiting; else None."""
        ...

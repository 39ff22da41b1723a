"""Camera keys (``ws-ingest``): each lets one device publish to one room."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

import attrs

from streamhub.errors import Conflict, NotFound
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.names import CAMERA_SLUG
from streamhub.model.streams import KEY_REVOKED
from streamhub.services.apps import App, unknown_app
from streamhub.services.fields import Page, Paging, between, declared, like
from streamhub.services.live import LiveRooms
from streamhub.services.sealing import digest, new_camera_key, prefix_of
from streamhub.store import apps as app_rows
from streamhub.store import keys as rows
from streamhub.store.db import Database, Store, Taken
from streamhub.store.keys import KeyRow

CAMERA_KEY = re.compile(r"wsk_[A-Za-z0-9_-]{24,200}", re.ASCII)
_SLUG = like(CAMERA_SLUG, "1 to 64 of letters, digits, '_' and '-', starting with a letter or digit")


@attrs.frozen
class NewKey:
    """A request for a camera key."""

    room: str = declared("The room it publishes to, short or with the app's prefix.", _SLUG)
    identity: str | None = declared("Name of the camera in the room; default: made from the key.", _SLUG, default=None)
    idle_timeout_sec: int = declared("Disconnected after so long without a frame.", between(5, 3600), default=30)
    takeover: bool = declared("Whether it may push another camera off the room.", default=False)
    stream_key: str | None = declared(
        "Your own key instead of a made one (right 'manage').",
        like(CAMERA_KEY, "'wsk_' and 24 to 200 of letters, digits, '_' and '-'"),
        default=None,
        secret=True,
    )


@attrs.frozen
class CameraKey:
    """A camera key as everybody may see it; ``room`` is namespaced, ``room_given`` as it was asked for."""

    id: str
    room: str
    room_given: str
    identity: str
    key_prefix: str
    idle_timeout_s: int
    takeover: bool
    active: bool
    created_at: datetime
    last_used_at: datetime | None


@attrs.frozen
class IssuedKey:
    """A key with its secret, for the only time."""

    key: CameraKey
    secret: str = attrs.field(repr=False)


@attrs.frozen
class Keys:
    """The use cases of ``/apps/<app>/ws-ingest``. The caller has been authorised for the app given."""

    store: Store
    hub: LiveRooms
    now: WallClock = utc_now

    async def create(self, app: App, new: NewKey) -> IssuedKey:
        """A key for a room. Raises Conflict if the key brought along exists already."""
        return (await self.create_many(app, [new]))[0]

    async def create_many(self, app: App, wanted: list[NewKey]) -> list[IssuedKey]:
        """A key for each, all or none. Raises as ``create`` does."""
        made = [(new, new.stream_key or new_camera_key()) for new in wanted]
        keys = await self.store.write(self._insert, app, made)
        return [IssuedKey(key, secret) for key, (_, secret) in zip(keys, made, strict=True)]

    async def page(self, app: App, paging: Paging) -> Page[CameraKey]:
        """The app's keys, newest first."""
        found, total = await self.store.read(rows.page, app.id, paging.limit, paging.offset)
        live = self.hub.live_key_ids()
        return Page([_shown(row, live) for row in found], total, paging)

    async def rotate(self, app: App, key_id: str) -> IssuedKey:
        """The key with a new secret; a camera on the old one is disconnected. Raises NotFound."""
        secret = new_camera_key()
        row = await self.store.write(_exchange, app.id, key_id, secret)
        await self.hub.end_key(key_id, KEY_REVOKED)
        return IssuedKey(_shown(row, set()), secret)

    async def revoke(self, app: App, key_id: str) -> None:
        """The key is gone and its camera disconnected. Raises NotFound."""
        await self.store.write(_delete, app.id, key_id)
        await self.hub.end_key(key_id, KEY_REVOKED)

    def _insert(self, db: Database, app: App, made: list[tuple[NewKey, str]]) -> list[CameraKey]:
        # Read again: the prefix may have changed since the caller loaded the app.
        current = app_rows.by_id(db, app.id)
        if current is None:
            raise unknown_app(app.name)
        app = attrs.evolve(app, room_prefix=current.room_prefix)
        return [_shown(_add(db, app, new, secret, self.now()), set()) for new, secret in made]


def _add(db: Database, app: App, new: NewKey, secret: str, at: datetime) -> KeyRow:
    row = KeyRow(
        id=f"wsi_{secrets.token_hex(6)}",
        app_id=app.id,
        room=app.room(new.room).room,
        room_given=new.room,
        identity=new.identity or f"wscam-{secret[-6:]}",
        key_hash=digest(secret),
        key_prefix=prefix_of(secret),
        idle_timeout_s=new.idle_timeout_sec,
        takeover=new.takeover,
        created_at=at,
    )
    try:
        rows.insert(db, row)
    except Taken:
        raise Conflict(
            f"the camera key {row.key_prefix}… is in use already",
            code="camera_key_exists",
            hint="Each key belongs to one camera: choose another, or revoke the one that has it.",
        ) from None
    return row


def _exchange(db: Database, app_id: int, key_id: str, secret: str) -> KeyRow:
    row = _get(db, app_id, key_id)
    rows.set_secret(db, key_id, digest(secret), prefix_of(secret))
    return attrs.evolve(row, key_hash=digest(secret), key_prefix=prefix_of(secret))


def _delete(db: Database, app_id: int, key_id: str) -> None:
    _get(db, app_id, key_id)
    rows.delete(db, key_id)


def _get(db: Database, app_id: int, key_id: str) -> KeyRow:
    row = rows.by_id(db, app_id, key_id)
    if row is None:
        raise NotFound(
            f"ws-ingest key '{key_id}' not found",
            code="camera_key_not_found",
            hint="GET /api/v1/apps/<app>/ws-ingest lists the keys.",
        )
    return row


def _shown(row: KeyRow, live: set[str]) -> CameraKey:
    return CameraKey(
        id=row.id,
        room=row.room,
        room_given=row.room_given,
        identity=row.identity,
        key_prefix=row.key_prefix,
        idle_timeout_s=row.idle_timeout_s,
        takeover=row.takeover,
        active=row.id in live,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )

"""Apps: the namespaces of rooms, each with its own limits."""

# ruff: noqa: RUF009 - declared() makes the attrs field itself, not its default.

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from urllib.parse import urlsplit

import attrs

from streamhub.errors import Conflict, NotFound
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.names import APP_NAME, ROOM_PREFIX, AppName, RoomKey, namespaced, prefixes_clash
from streamhub.model.streams import APP_DELETED
from streamhub.services import features as feature_rules
from streamhub.services.features import Features, FeaturesPatch
from streamhub.services.fields import PRINTABLE, UNSET, Check, Page, Paging, Unset, declared, length, like
from streamhub.services.live import LiveRooms
from streamhub.services.sealing import SecretBox
from streamhub.store import apps as rows
from streamhub.store import ingress as ingress_rows
from streamhub.store import keys as key_rows
from streamhub.store import streams as stream_rows
from streamhub.store.apps import AppRow
from streamhub.store.db import Database, Store


def _is_callback_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        return False


_NAME = like(APP_NAME, "3 to 32 of a-z, 0-9 and '-', neither starting nor ending with '-'")
_PREFIX = like(ROOM_PREFIX, "1 to 40 of a-z, 0-9 and '-', not starting with '-'")
_URL = Check(_is_callback_url, "expected an http:// or https:// URL without user and password", {"format": "uri"})


@attrs.frozen
class NewApp:
    """A request for an app."""

    name: str = declared("Name in every path.", _NAME)
    display_name: str | None = declared("Name for people; default: the name.", length(1, 100), PRINTABLE, default=None)
    room_prefix: str | None = declared("Prefix of the app's rooms; default: the name.", _PREFIX, default=None)
    features: FeaturesPatch | None = declared("What differs from the defaults.", default=None)


@attrs.frozen
class AppPatch:
    """Changes of an app; what is not sent stays, null removes."""

    display_name: str | Unset = declared("Name for people.", length(1, 100), PRINTABLE, default=UNSET)
    room_prefix: str | Unset = declared("Prefix of the rooms; only while none is live.", _PREFIX, default=UNSET)
    callback_url: str | Unset | None = declared(
        "Where events are sent.", length(1, 2048), PRINTABLE, _URL, default=UNSET, secret=True
    )
    callback_secret: str | Unset | None = declared("Signs the events.", length(1, 256), default=UNSET, secret=True)
    features: FeaturesPatch | Unset = declared("What changes in the features.", default=UNSET)


@attrs.frozen
class App:
    """An app as everybody sees it; its callback secret stays sealed in the store."""

    id: int
    name: AppName
    display_name: str
    room_prefix: str
    features: Features
    callback_url: str | None
    has_callback_secret: bool
    created_at: datetime
    updated_at: datetime

    def room(self, name: str) -> RoomKey:
        """The room of that short or full name."""
        return RoomKey(self.name, namespaced(self.room_prefix, name))


def from_row(row: AppRow) -> App:
    """The app of a stored row."""
    return App(
        id=row.id,
        name=AppName(row.name),
        display_name=row.display_name,
        room_prefix=row.room_prefix,
        features=feature_rules.load(row.features_json),
        callback_url=row.callback_url,
        has_callback_secret=row.callback_secret is not None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def callback_purpose(app_id: int) -> str:
    """What the app's sealed callback secret is bound to."""
    return f"callback_secret of app {app_id}"


def unknown_app(name: str) -> NotFound:
    """The error for an app that does not exist."""
    return NotFound(f"app '{name}' not found", code="app_not_found", hint="GET /api/v1/apps lists the apps.")


def add_app(db: Database, new: NewApp, at: datetime) -> AppRow:
    """Add an app within the caller's transaction. Raises Conflict if name or prefix is in the way of another."""
    taken = rows.prefixes(db)
    if new.name in taken:
        raise Conflict(f"the app name '{new.name}' is taken", code="app_name_taken")
    prefix = new.room_prefix or new.name
    _refuse_clash(taken, prefix)
    features = feature_rules.changed(Features(), new.features or FeaturesPatch())
    return rows.insert(
        db,
        name=new.name,
        display_name=new.display_name or new.name,
        room_prefix=prefix,
        features_json=feature_rules.dump(features),
        at=at,
    )


async def nothing_to_end(_ingress_ids: list[str]) -> None:
    """Without relays."""


@attrs.frozen
class Apps:
    """The use cases of ``/apps``."""

    store: Store
    hub: LiveRooms
    box: SecretBox
    changed: Callable[[], None] = lambda: None
    now: WallClock = utc_now
    end_relays: Callable[[list[str]], Awaitable[None]] = nothing_to_end

    async def create(self, new: NewApp) -> App:
        """The new app. Raises Conflict for a taken name or a prefix that is not unambiguous."""
        return from_row(await self.store.write(add_app, new, self.now()))

    async def page(self, paging: Paging, only: str | None = None) -> Page[App]:
        """Apps by name; ``only``: at most the app of that name."""
        found, total = await self.store.read(rows.page, paging.limit, paging.offset, only)
        return Page([from_row(r) for r in found], total, paging)

    async def find(self, name: str) -> App | None:
        """The app, or None."""
        row = await self.store.read(rows.by_name, name)
        return None if row is None else from_row(row)

    async def get(self, name: str) -> App:
        """The app. Raises NotFound."""
        app = await self.find(name)
        if app is None:
            raise unknown_app(name)
        return app

    async def patch(self, app: App, patch: AppPatch) -> App:
        """The app after the change. Raises Conflict: prefix in the way of another app's, or a room is live."""
        moving = patch.room_prefix is not UNSET and patch.room_prefix != app.room_prefix
        if moving and any(s.source is not None for s in self.hub.statuses(app.name)):
            raise _room_is_live(app.name)
        try:
            after = from_row(await self.store.write(self._patch, app, patch, moving))
        finally:
            self.changed()  # also if cancelled while it was written
        if app.features.public_playback and not after.features.public_playback:
            await self.hub.end_viewers(app.name)  # whoever has a token comes back with it
        return after

    async def delete(self, app: App) -> None:
        """The app, its tokens, keys and streams are gone and its cameras and viewers disconnected."""
        try:
            relayed = await self.store.write(_delete, app)
        finally:
            self.changed()
        await self.end_relays(relayed)
        await self.hub.end_app(app.name, APP_DELETED)

    def _patch(self, db: Database, app: App, patch: AppPatch, moving: bool) -> AppRow:
        row = rows.by_id(db, app.id)
        if row is None:
            raise unknown_app(app.name)
        if moving and not isinstance(patch.room_prefix, Unset):
            self._move(db, row, patch.room_prefix)
            row = attrs.evolve(row, room_prefix=patch.room_prefix)
        if not isinstance(patch.display_name, Unset):
            row = attrs.evolve(row, display_name=patch.display_name)
        if not isinstance(patch.callback_url, Unset):
            row = attrs.evolve(row, callback_url=patch.callback_url)
        if not isinstance(patch.callback_secret, Unset):
            secret = patch.callback_secret
            sealed = None if secret is None else self.box.seal(secret, callback_purpose(row.id))
            row = attrs.evolve(row, callback_secret=sealed)
        if not isinstance(patch.features, Unset):
            features = feature_rules.changed(feature_rules.load(row.features_json), patch.features)
            row = attrs.evolve(row, features_json=feature_rules.dump(features))
        # To whole milliseconds, as it is stored.
        at = self.now()
        row = attrs.evolve(row, updated_at=at.replace(microsecond=at.microsecond // 1000 * 1000))
        rows.update(db, row)
        return row

    def _move(self, db: Database, row: AppRow, prefix: str) -> None:
        """Give the app's keys and ingresses their rooms under the new prefix."""
        if stream_rows.count_active(db, row.id):
            raise _room_is_live(row.name)
        _refuse_clash({n: p for n, p in rows.prefixes(db).items() if n != row.name}, prefix)
        for key in key_rows.of_app(db, row.id):
            short = "" if key.room == row.room_prefix else key.room.removeprefix(f"{row.room_prefix}-")
            key_rows.set_room(db, key.id, namespaced(prefix, short), short or prefix)
        for one in ingress_rows.of_app(db, row.id):
            short = "" if one.room == row.room_prefix else one.room.removeprefix(f"{row.room_prefix}-")
            ingress_rows.set_room(db, one.id, namespaced(prefix, short), short or prefix)


def _delete(db: Database, app: App) -> list[str]:
    """Ids of its ingresses that relays took in; their rows are gone with the app."""
    relayed = ingress_rows.relayed_here(db, app.id)
    if not rows.delete(db, app.id):
        raise unknown_app(app.name)
    return relayed


def _refuse_clash(taken: dict[str, str], prefix: str) -> None:
    for name, other in taken.items():
        if prefixes_clash(prefix, other):
            raise Conflict(
                f"the room prefix '{prefix}' is in the way of '{other}', the prefix of app '{name}'",
                code="room_prefix_clash",
                hint="Choose a prefix that neither equals another one nor continues it with '-'.",
            )


def _room_is_live(name: str) -> Conflict:
    return Conflict(
        f"app '{name}' has live rooms: its room prefix cannot change now",
        code="room_is_live",
        hint="Disconnect the app's cameras first.",
    )

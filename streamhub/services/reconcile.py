"""Acts on what other processes did to the database, and writes what waits: about once a second.

``streamhub keys revoke`` beside a running server only changes rows; the sweep here disconnects the camera. It also
closes the gap between a camera's admission and its session, in which a revocation finds nobody to disconnect.
"""

from __future__ import annotations

from contextlib import suppress

import attrs
import trio

from streamhub.errors import StoreError
from streamhub.model.names import AppName
from streamhub.model.streams import APP_DELETED, KEY_REVOKED
from streamhub.observe.log import get_logger
from streamhub.services.access import Access
from streamhub.services.live import LiveRooms
from streamhub.store import apps as app_rows
from streamhub.store import keys as key_rows
from streamhub.store.db import Database, Store

PERIOD_S = 1.0
LAST_WRITE_S = 2.0
log = get_logger("reconcile")


@attrs.define(eq=False)
class Reconciler:
    """Owner of the loop's memory: the versions of database and apps seen last, and whether one more look is due."""

    store: Store
    hub: LiveRooms
    access: Access
    _version: int | None = None
    _again: bool = False
    _apps: tuple[int, ...] = ()
    _private: set[str] | None = None

    async def run(self) -> None:
        """Tick every second until cancelled; a failing disk is logged and tried again. Writes what waits at the end."""
        try:
            while True:
                try:
                    await self.tick()
                except StoreError as exc:
                    log.warning("cannot look after keys and apps", error=exc.message, hint=exc.hint)
                await trio.sleep(PERIOD_S)
        finally:
            with trio.move_on_after(LAST_WRITE_S, shield=True), suppress(StoreError):
                await self.access.last_used.flush()

    async def tick(self) -> None:
        """Write "last used", then sweep if the database changed since the last tick, or in the one before it.

        The second look is for a camera admitted before a change and connected after its sweep.
        """
        await self.access.last_used.flush()
        version = await self.store.version()
        changed = version != self._version
        self._version = version
        if changed and (apps := await self.store.read(app_rows.signature)) != self._apps:
            self._apps = apps
            self.access.apps.forget()
        if changed or self._again:
            self._again = changed
            await self.sweep()

    async def sweep(self) -> int:
        """End cameras whose key is gone or exchanged, and all of apps that are gone; returns how many.

        Viewers of apps that have become private since the last sweep must leave; they are not counted.
        """
        ended = 0
        live, before = self.hub.live_key_ids(), dict(self.access.admitted)
        hashes, apps, private = await self.store.read(_present, sorted(live | set(before)))
        for key_id in sorted(live):
            # A camera may have come in with a new secret on either side of the read above.
            known = (before.get(key_id, hashes.get(key_id)), self.access.admitted.get(key_id))
            if key_id not in hashes or hashes[key_id] not in known:
                ended += await self.hub.end_key(key_id, KEY_REVOKED)
        for key_id in before:
            if key_id not in hashes:
                self.access.admitted.pop(key_id, None)
        for app in sorted({s.key.app for s in self.hub.statuses()} - apps):
            await self.hub.end_app(app, APP_DELETED)
            ended += 1
        for name in sorted(private - (private if self._private is None else self._private)):
            await self.hub.end_viewers(AppName(name))  # whoever has a token comes back with it
        self._private = private
        if ended:
            log.info("ended what the database no longer allows", count=ended)
        return ended


def _present(db: Database, key_ids: list[str]) -> tuple[dict[str, str], set[str], set[str]]:
    return key_rows.hashes(db, key_ids), app_rows.names(db), app_rows.private_names(db)

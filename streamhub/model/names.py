"""Names of apps, rooms and identities, and the one rule that puts a room under its app.

A room has two spellings: short (``cam1``) and namespaced (``live-cam1``). The namespaced one is its name
inside; every door accepts both (contract README §6).
"""

from __future__ import annotations

import re
from typing import NewType

import attrs

AppName = NewType("AppName", str)
RoomName = NewType("RoomName", str)

APP_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,30}[a-z0-9]", re.ASCII)
ROOM_PREFIX = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
# LiveKit's rooms: tokens, ingress, playback.
ROOM_NAME = re.compile(r"[A-Za-z0-9._-]{1,120}", re.ASCII)
# Camera rooms, apps and identities on the camera socket: no dots.
CAMERA_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


@attrs.frozen(cache_hash=True)
class RoomKey:
    """Which room: the app's name and the namespaced room name."""

    app: AppName
    room: RoomName

    def __str__(self) -> str:
        return f"{self.app}/{self.room}"


def namespaced(prefix: str, room: str = "") -> RoomName:
    """The room's full name under an app's prefix; idempotent, and the prefix itself for no room."""
    if not room or room == prefix:
        return RoomName(prefix)
    if room.startswith(f"{prefix}-"):
        return RoomName(room)
    return RoomName(f"{prefix}-{room}")


def prefixes_clash(one: str, other: str) -> bool:
    """Whether a room name could belong to both prefixes: they are equal or one extends the other by ``-``."""
    return one == other or one.startswith(f"{other}-") or other.startswith(f"{one}-")

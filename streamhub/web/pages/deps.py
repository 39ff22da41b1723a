"""What the pages ask of the rest of the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs

from streamhub.model.names import RoomKey
from streamhub.model.urls import Base
from streamhub.services.access import RoomView


@attrs.frozen
class PagesDeps:
    """Questions, each asked at most once per page request.

    ``find_room`` is ``services.access.Access.find_room``: None for an unknown app or an impossible room name. A room
    nobody has published to yet is found; its page says offline.
    ``public_rooms`` lists what ``/`` may show to strangers; empty unless the public wall is switched on.
    ``livekit_ws`` tells where LiveKit clients connect that opened the page at that base.
    """

    find_room: Callable[[str, str], Awaitable[RoomView | None]]
    public_rooms: Callable[[], Awaitable[Sequence[RoomKey]]]
    livekit_ws: Callable[[Base], str] = lambda base: base.ws

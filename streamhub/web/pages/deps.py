"""What the pages ask of the rest of the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs

from streamhub.model.names import AppName, RoomKey


@attrs.frozen
class PagesDeps:
    """Three questions, asked once per page request.

    ``room_exists`` takes the app and room as written in the address (short or namespaced, unchecked) and answers None
    for an unknown app or an impossible room name. A room nobody has published to yet exists: its page says offline.
    ``private`` tells whether watching the app needs a token (``publicPlayback: false``).
    ``public_rooms`` lists what ``/`` may show to strangers; empty unless the public wall is switched on.
    """

    room_exists: Callable[[str, str], Awaitable[RoomKey | None]]
    private: Callable[[AppName], Awaitable[bool]]
    public_rooms: Callable[[], Awaitable[Sequence[RoomKey]]]

"""What the pages ask of the rest of the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs

from streamhub.model.names import RoomKey
from streamhub.services.access import RoomView


@attrs.frozen
class PagesDeps:
    """Two questions, each asked at most once per page request.

    ``find_room`` is ``services.access.Access.find_room``: None for an unknown app or an impossible room name. A room
    nobody has published to yet is found; its page says offline.
    ``public_rooms`` lists what ``/`` may show to strangers; empty unless the public wall is switched on.
    ``rtc_url`` is LiveKit's WebSocket where browsers are to reach it elsewhere than through us (None: through us);
    ``hls_origin`` where HLS comes from if it is not ours.
    """

    find_room: Callable[[str, str], Awaitable[RoomView | None]]
    public_rooms: Callable[[], Awaitable[Sequence[RoomKey]]]
    rtc_url: str | None = None
    hls_origin: str | None = None

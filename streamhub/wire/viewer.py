"""The viewer socket's messages (contract additions §3): state as text, pictures as binary."""

from __future__ import annotations

import json
from datetime import datetime

from streamhub.model.clock import iso_ms
from streamhub.model.streams import Published, State

VIEWER_PATH = "/live/ws"


def state_message(
    shown: tuple[State, datetime | None],
    camera: State,
    participant: str | None,
    published: Published | None,
    *,
    hls: bool = False,
) -> str:
    """Sent on connect and on every change; ``since`` is null for a room that was never seen.

    ``camera`` is the source of the pictures on this socket (null: there is none), ``publishers`` counts LiveKit's,
    ``hls`` tells whether the room can be had by HLS.
    """
    state, since = shown
    return json.dumps(
        {
            "type": "state",
            "state": state.value,
            "since": iso_ms(since) if since else None,
            "camera": None if participant is None else {"state": camera.value, "participant": participant},
            "publishers": 0 if published is None else published.publishers,
            "hls": hls,
        }
    )


def viewer_refusal(code: int, message: str) -> str:
    """Sent before a refused viewer socket is closed with ``code``."""
    return json.dumps({"type": "error", "code": str(code), "message": message})

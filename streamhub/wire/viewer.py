"""The viewer socket's messages (contract additions §3): state as text, pictures as binary."""

from __future__ import annotations

import json
from datetime import datetime

from streamhub.model.clock import iso_ms
from streamhub.model.streams import State

VIEWER_PATH = "/live/ws"


def state_message(state: State, since: datetime | None) -> str:
    """Sent on connect and on every change; ``since`` is null for a room that was never seen."""
    return json.dumps({"type": "state", "state": state.value, "since": iso_ms(since) if since else None})


def viewer_refusal(code: int, message: str) -> str:
    """Sent before a refused viewer socket is closed with ``code``."""
    return json.dumps({"type": "error", "code": str(code), "message": message})

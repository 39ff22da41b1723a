"""The device's side of the camera protocol: what the server says, and what it means for the device.

Source: contract page "Camera protocol v1", sections 1, 2, 3 and 6.
"""

from __future__ import annotations

import json
from typing import TypeAlias

import attrs

from streamhub.errors import StreamHubError

# Close codes after which trying again cannot help until somebody changes something.
FINAL_CODES = frozenset({4401, 4403, 4413})

_ADVICE = {
    "invalid_app": "The app's name is not a valid name: look at the URL or --app.",
    "unknown_app": "The server has no such app: look at --app, or create it with 'streamhub apps create'.",
    "invalid_room": "The room's name is not a valid name: look at the URL or --room.",
    "invalid_key": "The server knows no such key for this app: check it, or create one with 'streamhub keys create'.",
    "room_mismatch": "This key was made for another room: use that room, or create a key for this one.",
    "key revoked": "Somebody revoked this key: create another with 'streamhub keys create'.",
    "handshake_error": "The server failed on its side; its log says why.",
    "ws_ingest_disabled": "Cameras are switched off in this app: switch features.wsIngest.enabled on.",
    "quota_exceeded": "The server takes no more streams: stop one, or raise its limit.",
    "max_cameras": "The app has as many cameras as it allows: stop one, or raise features.wsIngest.maxCameras.",
    "stream deleted": "Somebody ended this stream on the server: start the camera again to go on.",
    "frame too large": "Frames are larger than the server takes: use a smaller --size or a lower --quality.",
    "replaced by new connection": "Another device uses the same key: give every device its own.",
    "room busy": "Another key is live in this room: end that stream first.",
    "rate_limited": "Too many connections from this address: waiting helps.",
}
_BY_CODE = {
    4401: "The server refuses this key: check key, app and room.",
    4403: "The server forbids this stream: ask who runs it.",
    4408: "The server got no frames for too long: the source or the link stands still.",
    4413: _ADVICE["frame too large"],
}


def is_final(code: int, reason: str | None) -> bool:
    """Whether trying again is pointless. The server's own failure comes as a 4401 too, and may pass."""
    return code in FINAL_CODES and reason != "handshake_error"


class CameraRefused(StreamHubError):
    """The server turned the camera away for good; ``hint`` says what a person must do."""

    code = "camera_refused"


@attrs.frozen
class Ready:
    """The server takes frames: the limits it set."""

    room: str
    max_fps: float
    max_frame_bytes: int


@attrs.frozen
class Complaint:
    """An ``error`` message: its word or number, and its text."""

    code: str
    message: str


ServerMessage: TypeAlias = Ready | Complaint


def parse_message(text: str) -> ServerMessage | None:
    """The server's text message, or None for one a device does not know (to be ignored)."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match body:
        case {"type": "ready", "maxFps": int() | float() as fps, "maxFrameBytes": int(size), "room": str(room)} if (
            fps > 0 and size > 0
        ):
            return Ready(printable(room), float(fps), size)
        case {"type": "error", "code": str(code), "message": str(message)}:
            return Complaint(printable(code), printable(message))
    return None


def format_stats(*, fps: float, rssi: int, heap_free: int, frames: int) -> str:
    """The device's own figures, with the keys an ESP32 sends: dBm for ``rssi``, bytes for ``heap_free``."""
    return json.dumps({"type": "stats", "fps": round(fps, 1), "rssi": rssi, "heapFree": heap_free, "frames": frames})


def explain_close(code: int, reason: str | None, complaint: Complaint | None) -> tuple[str, str]:
    """What happened, in one line, and what to do about it (empty: nothing)."""
    reason = printable(reason or "")
    words = [w for w in (reason, complaint.message if complaint else "") if w]
    if words:
        what = f"closed by the server: {words[0]} ({code})"
    else:
        what = "the connection broke" if code == 1006 else f"closed by the server ({code})"
    if complaint and complaint.message not in (reason, ""):
        what += f": {complaint.message}"
    hints = (_ADVICE[w] for w in words if w in _ADVICE)
    return what, next(hints, _BY_CODE.get(code, ""))


def printable(text: str) -> str:
    """The text with nothing in it that could steer a terminal, and at most 200 characters."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])

"""The camera protocol, v1, sans-IO: the handshake's words, the messages, the rules for frames.

Source: contract ``ws-ingest-protocol`` with design §7. Times are seconds of any monotonic clock.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from typing import Any

import attrs

from streamhub.model.access import CameraGrant, CameraHello, CameraLimits, Refusal
from streamhub.model.names import CAMERA_SLUG
from streamhub.wire.jpeg import is_jpeg

INGEST_PATH = "/ingest/ws"
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_STATS_BYTES = 4096
BAD_FRAMES_IN_A_ROW = 5
PING_INTERVAL_S = 15.0
MISSED_PONGS = 2
IDLE_CHECK_S = 5.0

RATE_LIMITED = Refusal(4429, "rate_limited")
INVALID_APP = Refusal(4401, "invalid_app")
INVALID_ROOM = Refusal(4401, "invalid_room")
INVALID_KEY = Refusal(4401, "invalid_key")
HANDSHAKE_ERROR = Refusal(4401, "handshake_error")
MAX_CAMERAS = Refusal(4403, "max_cameras")
ROOM_BUSY = Refusal(4409, "room_busy", reason="room busy")


def parse_hello(query: Mapping[str, str], authorization: str | None, client_ip: str) -> CameraHello | Refusal:
    """The checks 2–4 of the handshake table: the form of app, room and key. An odd identity counts as none."""
    app, room, identity = query.get("app", ""), query.get("room", ""), query.get("identity", "")
    if not CAMERA_SLUG.fullmatch(app):
        return INVALID_APP
    if not CAMERA_SLUG.fullmatch(room):
        return INVALID_ROOM
    key = query.get("key", "")
    if authorization is not None:
        scheme, _, credential = authorization.strip().partition(" ")
        if scheme.lower() == "bearer":
            key = credential.strip()
    if not key.startswith("wsk_"):
        return INVALID_KEY
    return CameraHello(app, room, key, identity if CAMERA_SLUG.fullmatch(identity) else None, client_ip)


def refusal_message(refusal: Refusal) -> str:
    """The text that goes before the close; ``code`` is the close code as a string."""
    return json.dumps({"type": "error", "code": str(refusal.close_code), "message": refusal.message})


def error_message(code: str, message: str) -> str:
    """An error after acceptance; ``code`` is a word."""
    return json.dumps({"type": "error", "code": code, "message": message})


def ready_message(grant: CameraGrant) -> str:
    """What an accepted camera is told: where it publishes and within which limits."""
    return json.dumps(
        {
            "type": "ready",
            "room": grant.room.room,
            "streamId": grant.stream_id,
            "maxFps": grant.limits.max_fps,
            "maxFrameBytes": grant.limits.max_frame_bytes,
            "idleTimeoutSec": int(grant.limits.idle_timeout_s),
        }
    )


def parse_stats(text: bytes) -> dict[str, Any] | None:
    """The device's figures without ``type``; None for anything that is not a stats message of sane size.

    Firmware that divides by zero writes NaN: such numbers become null, for what is stored must be JSON.
    """
    if len(text) > MAX_STATS_BYTES:
        return None
    try:
        message = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("type") != "stats":
        return None
    return {k: v for k, v in message.items() if k != "type"}


def _no_number(_word: str) -> None:
    return None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


class Verdict(enum.Enum):
    """What becomes of one binary message. The values are the metric's ``reason`` labels."""

    ACCEPT = "accepted"
    DROP_FPS = "fps"
    NOT_JPEG = "not_jpeg"
    INVALID_RUN = "invalid_frames"
    TOO_LARGE = "too_large"


@attrs.define
class FrameGate:
    """The frame rules of contract §4, in their order, for one connection.

    The token bucket starts full with ``max_fps`` tokens and refills at ``max_fps`` a second.
    """

    limits: CameraLimits
    _bad_run: int = 0
    _tokens: float = attrs.field(init=False)
    _refilled_at: float | None = None

    def __attrs_post_init__(self) -> None:
        self._tokens = float(self.limits.max_fps)

    def judge(self, frame: bytes | bytearray | memoryview, now: float) -> Verdict:
        """Decide about one message received at ``now``; ``INVALID_RUN`` and ``TOO_LARGE`` end the connection."""
        limits = self.limits
        if len(frame) > limits.max_frame_bytes:
            return Verdict.TOO_LARGE
        if not is_jpeg(frame):
            self._bad_run += 1
            return Verdict.INVALID_RUN if self._bad_run >= BAD_FRAMES_IN_A_ROW else Verdict.NOT_JPEG
        self._bad_run = 0
        rate, tokens = limits.max_fps, self._tokens
        if self._refilled_at is not None:
            tokens = min(float(rate), tokens + (now - self._refilled_at) * rate)
        self._refilled_at = now
        if tokens < 1.0:
            self._tokens = tokens
            return Verdict.DROP_FPS
        self._tokens = tokens - 1.0
        return Verdict.ACCEPT

"""The picture shown while there is none: it says so, and since when. Drawn in a thread, kept for a while."""

from __future__ import annotations

import io
from collections import OrderedDict
from datetime import datetime

import attrs
import trio
from PIL import Image, ImageDraw, ImageFont

from streamhub.model.names import RoomKey
from streamhub.model.streams import State

DEFAULT_SIZE = (640, 360)
MOST_SIZE = (1920, 1080)
_KEEP = 64
_BACKGROUND, _PANEL, _TEXT, _DIM = (24, 26, 31), (34, 37, 44), (235, 237, 240), (150, 156, 166)
_ACCENTS = {State.CONNECTING: (64, 140, 240), State.STALE: (236, 165, 48), State.LIVE: (74, 222, 128)}
_OFFLINE = (208, 72, 72)


def describe(state: State, since: datetime | None) -> tuple[str, str]:
    """Headline and second line for a state; times in the server's zone."""
    when = since.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if since else ""
    if state is State.CONNECTING:
        return "Camera is connecting", f"since {when}" if when else ""
    if state is State.LIVE:
        # By WebRTC: what LiveKit carries is not made into pictures.
        return "Live by WebRTC", "to watch it, open the room's page"
    if state is State.STALE:
        return "No picture from the camera", f"since {when}" if when else ""
    if since is None:
        return "Waiting for the camera", "nothing has been received yet"
    return "Camera offline", f"since {when}"


def draw(room: str, state: State, since: datetime | None, size: tuple[int, int]) -> bytes:
    """The placeholder as a JPEG of ``size`` pixels (at least 160 × 120, at most 1920 × 1080)."""
    width, height = min(max(size[0], 160), MOST_SIZE[0]), min(max(size[1], 120), MOST_SIZE[1])
    image = Image.new("RGB", (width, height), _BACKGROUND)
    pen = ImageDraw.Draw(image)
    unit = min(width / 640, height / 360)
    headline, second = describe(state, since)
    middle = height / 2
    pen.rectangle((0, middle - 62 * unit, width, middle + 62 * unit), fill=_PANEL)
    pen.rectangle((0, middle - 62 * unit, max(3, 6 * unit), middle + 62 * unit), fill=_ACCENTS.get(state, _OFFLINE))
    for text, offset, points, colour in (
        (room, -40, 15, _DIM),
        (headline, 0, 34, _TEXT),
        (second, 38, 18, _DIM),
    ):
        if text:
            _centred(pen, text, (width / 2, middle + offset * unit), points * unit, colour, width * 0.92)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def draw_past(jpeg: bytes, taken_at: datetime) -> bytes | None:
    """A picture that was live once, grey, with its time and that it is not live in it; None: it cannot be decoded."""
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as opened:
            opened.draft("L", MOST_SIZE)  # a huge one is not decoded in full
            image = opened.convert("L").point(lambda level: level * 0.55).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    width, height = image.size
    pen = ImageDraw.Draw(image)
    tall = min(max(height / 11, 14), 60)
    pen.rectangle((0, height - tall, width, height), fill=_PANEL)
    when = taken_at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    _centred(pen, f"not live: last picture, {when}", (width / 2, height - tall / 2), tall * 0.58, _TEXT, width * 0.94)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def _centred(
    pen: ImageDraw.ImageDraw,
    text: str,
    at: tuple[float, float],
    points: float,
    colour: tuple[int, int, int],
    most: float,
) -> None:
    font = ImageFont.load_default(max(9, points))
    if (length := pen.textlength(text, font=font)) > most:
        font = ImageFont.load_default(max(7, points * most / length))
    pen.text(at, text, font=font, fill=colour, anchor="mm")


@attrs.define(eq=False)
class Placeholders:
    """Makes placeholders, one thread at a time, and keeps the last few."""

    _limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    _kept: OrderedDict[tuple[object, ...], bytes] = attrs.field(factory=OrderedDict)

    async def __call__(self, key: RoomKey, state: State, since: datetime | None, size: tuple[int, int] | None) -> bytes:
        """The picture for a room in this state (``rooms.room.MakePlaceholder``)."""
        # A room that was never seen has no name on its picture: strangers who ask for any name share one drawing.
        name = "" if since is None else key.room
        what = (name, state, since, size or DEFAULT_SIZE)
        if what in self._kept:
            self._kept.move_to_end(what)
            return self._kept[what]
        jpeg = await trio.to_thread.run_sync(draw, name, state, since, size or DEFAULT_SIZE, limiter=self._limiter)
        self._kept[what] = jpeg
        while len(self._kept) > _KEEP:
            self._kept.popitem(last=False)
        return jpeg

"""The test picture: colour bars, a running ball, the wall clock, a frame counter and a label.

Everything that stands still is drawn once; a frame is a copy of it and some twenty small pastes (under 1 ms for
VGA), then the JPEG encoder (about 3 ms), in a worker thread.
"""

from __future__ import annotations

import math
from datetime import datetime

import attrs
import trio
from PIL import Image, ImageDraw, ImageFont

from streamhub.model.clock import WallClock, utc_now
from streamhub.simulator.sources import LEAST_QUALITY, QUALITY_STEP, encode

BARS = ("#c0c0c0", "#c0c000", "#00c0c0", "#00c000", "#c000c0", "#c00000", "#0000c0")
BACKGROUND, TEXT, FAINT, ACCENT = "#11151c", "#f4f6fa", "#8d99ae", "#ffb703"
SMALLEST, LARGEST = (64, 48), (3840, 2160)
BALL_PERIOD_S = 4.0
Size = tuple[int, int]


@attrs.define
class Glyphs:
    """Digits and marks drawn once on the background, all of one width so that a running number stands still."""

    height: int
    colour: str
    _tiles: dict[str, Image.Image] = attrs.field(factory=dict)
    width: int = 0

    def __attrs_post_init__(self) -> None:
        font = ImageFont.load_default(self.height)
        self.width = math.ceil(max(font.getlength(c) for c in "0123456789#"))
        for char in "0123456789:.-# ":
            # Marks take half a cell.
            tile = Image.new(
                "RGB", (self.width if char.isdigit() or char == "#" else self.width // 2 + 1, self.height), BACKGROUND
            )
            ImageDraw.Draw(tile).text((tile.width / 2, self.height / 2), char, self.colour, font, anchor="mm")
            self._tiles[char] = tile

    def measure(self, text: str) -> int:
        """Pixels the text takes."""
        return sum(self._tiles[c].width for c in text)

    def paste(self, image: Image.Image, x: int, y: int, text: str) -> None:
        """Put the text down with its upper left corner at ``x``, ``y``."""
        for char in text:
            tile = self._tiles[char]
            image.paste(tile, (x, y))
            x += tile.width


class Picture:
    """A FrameSource whose every frame differs. ``frames`` counts those made."""

    def __init__(self, size: Size, label: str, *, quality: int = 80, clock: WallClock = utc_now) -> None:
        self.size, self.quality, self.frames = size, quality, 0
        self._clock = clock
        self._limiter = trio.CapacityLimiter(1)
        width, height = size
        unit = min(height, width * 3 // 4)
        self._big = Glyphs(max(unit // 6, 8), TEXT)
        self._small = Glyphs(max(unit // 16, 6), FAINT)
        self._split = height * 9 // 16
        self._base = _draw_base(size, self._split, label)
        self._ball = _draw_ball(max(unit // 7, 6))

    async def next_frame(self) -> bytes:
        return await trio.to_thread.run_sync(self.make, limiter=self._limiter)

    def lower_quality(self) -> bool:
        if self.quality <= LEAST_QUALITY:
            return False
        self.quality = max(self.quality - QUALITY_STEP, LEAST_QUALITY)
        return True

    def draw(self, now: datetime, number: int) -> Image.Image:
        """The picture of one moment, not encoded. Local time of ``now``'s zone is shown."""
        width, height = self.size
        image = self._base.copy()
        phase = (now.timestamp() % BALL_PERIOD_S) / BALL_PERIOD_S
        swing = (1 - math.cos(2 * math.pi * phase)) / 2
        bounce = abs(math.sin(6 * math.pi * phase))
        ball = self._ball
        at = (round(swing * (width - ball.width)), round((1 - bounce) * (self._split - ball.height)))
        image.paste(ball, at, ball)
        time = now.strftime("%H:%M:%S.") + f"{now.microsecond // 1000:03d}"
        middle = self._split + (height - self._split) // 2
        self._big.paste(image, (width - self._big.measure(time)) // 2, middle - self._big.height // 2, time)
        counter = f"#{number:06d}"
        margin, foot = self._small.height // 2, height - self._small.height * 3 // 2
        self._small.paste(image, width - self._small.measure(counter) - margin, foot, counter)
        self._small.paste(image, margin, foot, now.strftime("%Y-%m-%d"))
        return image

    def make(self) -> bytes:
        """The next frame, in the caller's thread."""
        self.frames += 1
        return encode(self.draw(self._clock().astimezone(), self.frames), self.quality)


def test_picture(size: Size, label: str) -> Picture:
    """A test picture of ``size`` (width, height in pixels) with ``label`` burnt in."""
    return Picture(size, label)


test_picture.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test by its name


def _draw_base(size: Size, split: int, label: str) -> Image.Image:
    width, height = size
    image = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(image)
    for n, colour in enumerate(BARS):
        draw.rectangle((width * n // len(BARS), 0, width * (n + 1) // len(BARS) - 1, split - 1), colour)
    draw.rectangle((0, split, width, split + max(height // 160, 1)), ACCENT)
    font = _fitting_font(label, width, max(min(height, width * 3 // 4) // 14, 7))
    draw.text((width / 2, split + height / 40), label, ACCENT, font, anchor="ma")
    return image


def _fitting_font(label: str, width: int, height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    font = ImageFont.load_default(height)
    too_wide = font.getlength(label) / (width * 0.94)
    return font if too_wide <= 1 else ImageFont.load_default(max(int(height / too_wide), 4))


def _draw_ball(diameter: int) -> Image.Image:
    # Drawn four times too large and shrunk: smooth edges.
    large = Image.new("RGBA", (diameter * 4, diameter * 4), (255, 255, 255, 0))
    ImageDraw.Draw(large).ellipse((0, 0, diameter * 4 - 1, diameter * 4 - 1), "white", ACCENT, max(diameter // 3, 2))
    return large.resize((diameter, diameter), Image.Resampling.LANCZOS)

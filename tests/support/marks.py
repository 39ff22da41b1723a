"""Pictures that say which they are, through every codec: a grid of sixteen cells, white for 1 and black for 0.

Cells 1 to 4 are the number of the publication (its ``life``), 5 to 12 that of the picture, 13 and 14 check both; cell 0
is always white, cell 15 always black. ``marks.js`` draws and reads the same. The tone is 440 Hz.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

from PIL import Image

from tests.support.tones import strength

SIZE, FPS, TONE_HZ = (320, 240), 16, 440
SIDE = 4
_CHECKED = (0, 2, 4, 6)


def _bits(number: int, count: int) -> list[int]:
    return [number >> k & 1 for k in range(count)]


def cells(life: int, n: int) -> list[int]:
    """The sixteen cells, 0 or 1, row by row."""
    which, picture = _bits(life, 4), _bits(n, 8)
    check = [(which[j] + sum(picture[k + j] for k in _CHECKED)) % 2 for j in (0, 1)]
    return [1, *which, *picture, *check, 0]


def luma(life: int, n: int, size: tuple[int, int] = SIZE) -> bytes:
    """The picture in grey, without padding."""
    width, height = size[0] // SIDE, size[1] // SIDE
    found, rows = cells(life, n), []
    for row in range(SIDE):
        line = b"".join((b"\xeb" if bit else b"\x10") * width for bit in found[row * SIDE : row * SIDE + SIDE])
        rows.append(line * height)
    return b"".join(rows)


@cache
def jpeg(life: int, n: int) -> bytes:
    """As a camera sends it."""
    out = io.BytesIO()
    Image.frombytes("L", SIZE, luma(life, n)).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def read(grey: bytes | memoryview, width: int, height: int, stride: int = 0) -> tuple[int, int] | None:
    """Life and number; None if this is another picture, such as a placeholder."""
    stride = stride or width
    bits: list[int] = []
    for cell in range(SIDE * SIDE):
        x, y = (2 * (cell % SIDE) + 1) * width // (2 * SIDE), (2 * (cell // SIDE) + 1) * height // (2 * SIDE)
        value = grey[y * stride + x]
        if 90 < value < 165:
            return None
        bits.append(value >= 165)
    life, n = (sum(bit << k for k, bit in enumerate(bits[a:b])) for a, b in ((1, 5), (5, 13)))
    return (life, n) if bits == cells(life, n) else None


def read_jpeg(data: bytes) -> tuple[int, int] | None:
    """See ``read``."""
    with Image.open(io.BytesIO(data)) as image:
        grey = image.convert("L")
    return read(grey.tobytes(), *grey.size)


def graph(life: int, size: tuple[int, int] = SIZE, fps: int = FPS) -> str:
    """ffmpeg's filters that draw it, as an input of ``-f lavfi``."""
    width, height = size[0] // SIDE, size[1] // SIDE
    picture = [f"mod(floor(n/{1 << k}),2)" for k in range(8)]
    which = _bits(life, 4)
    check = [f"mod({which[j]}+{'+'.join(picture[k + j] for k in _CHECKED)},2)" for j in (0, 1)]
    boxes = []
    for cell, when in enumerate(["1", *map(str, which), *picture, *check, "0"]):
        x, y = cell % SIDE * width, cell // SIDE * height
        boxes.append(f"drawbox=x={x}:y={y}:w={width}:h={height}:color=white:t=fill:enable='{when}'")
    return f"color=black:size={size[0]}x{size[1]}:rate={fps},{','.join(boxes)}"


def is_tone(samples: Sequence[int], rate: int, share: float = 0.5) -> bool:
    """Whether so much of the sound's power is at that frequency, and there is any sound."""
    power = sum((value / 32768) ** 2 for value in samples) / max(len(samples), 1)
    return power > 1e-4 and strength(samples, TONE_HZ, rate) ** 2 / 2 > share * power

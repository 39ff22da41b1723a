"""What a person would see on a player page, as functions."""

from __future__ import annotations

import base64
import io

from PIL import Image
from playwright.sync_api import Frame, Page, expect

LIMIT_MS = 30_000


def expect_badge(view: Page | Frame, word: str) -> None:
    """Wait until the badge says so."""
    expect(view.locator("#badge-word")).to_have_text(word, timeout=LIMIT_MS)


def picture(view: Page | Frame) -> Image.Image:
    """The canvas as it is now."""
    url = view.evaluate("document.getElementById('picture').toDataURL('image/png')")
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def picture_hash(view: Page | Frame) -> int:
    """A number that differs between two pictures; made in the page, since twelve of them are asked at a time."""
    return int(
        view.evaluate(
            """() => {
              const canvas = document.getElementById('picture');
              const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
              let hash = 7;
              for (const word of new Uint32Array(pixels.buffer)) hash = (Math.imul(hash, 31) + word) | 0;
              return hash;
            }"""
        )
    )


def pictures(view: Page | Frame, count: int, limit_ms: int = LIMIT_MS) -> list[int]:
    """Hashes of ``count`` different pictures in a row; fails if they do not come in time."""
    seen = [picture_hash(view)]
    waited = 0
    while len(seen) < count:
        now = picture_hash(view)
        if now != seen[-1]:
            seen.append(now)
            continue
        assert waited < limit_ms, f"the picture stands still after {len(seen)} of {count}"
        view.wait_for_timeout(50)
        waited += 50
    assert len(set(seen)) == count
    return seen


def opacity(view: Page | Frame) -> float:
    """How strongly the picture is shown; below 1 it is marked as not live."""
    return float(view.evaluate("getComputedStyle(document.getElementById('picture')).opacity"))

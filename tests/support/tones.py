"""Which tones a stream has, as ffmpeg hears it."""

from __future__ import annotations

import math
import subprocess
from array import array
from collections.abc import Sequence

import trio

RATE = 8000
LOUD = 0.01


async def tones(url: str, *hertz: int, seconds: float = 1.0) -> tuple[bool, ...]:
    """Whether each is to be heard in the next second or so of that address; none is if it cannot be read."""
    words = ["-hide_banner", "-loglevel", "error", "-nostdin", "-i", url, "-map", "0:a:0", "-t", str(seconds)]
    command = ["ffmpeg", *words, "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    with trio.fail_after(60):
        done = await trio.run_process(command, capture_stdout=True, check=False, stderr=subprocess.DEVNULL)
    samples = array("h", done.stdout[: len(done.stdout) // 2 * 2])
    return tuple(strength(samples, one) > LOUD for one in hertz)


def strength(samples: Sequence[int], hertz: int, rate: int = RATE) -> float:
    """Amplitude of one frequency, 1 at most (Goertzel)."""
    turn = 2 * math.cos(2 * math.pi * hertz / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample / 32768 + turn * last - before
    power = max(last * last + before * before - turn * last * before, 0.0)
    return 2 * math.sqrt(power) / max(len(samples), 1)

"""A camera's JPEGs in a worker: late, damaged, of another size, once a second."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio

from streamhub.wire.relay_control import AttachHls, Opened, Segment, SinkEnded, Start, format_picture
from tests.support.clips import jpegs
from tests.support.relay_worker import RelayWorker, ended, relay_worker
from tests.support.segments import play

AT_MS = 1_700_000_000_000


def damaged(good: bytes, rng: random.Random) -> bytes:
    """A JPEG by its ends, broken as by a loose ribbon or a bad memory."""
    bad = bytearray(good)
    how = rng.randrange(5)
    if how == 0:
        del bad[rng.randrange(4, len(bad) - 2) : -2]
    elif how == 1:
        for _ in range(rng.randrange(1, 200)):
            bad[rng.randrange(2, len(bad) - 2)] = rng.randrange(256)
    elif how == 2:
        bad[2:-2] = rng.randbytes(2000)
    elif how == 3:
        at = rng.randrange(2, len(bad) - 100)
        bad[at : at + 90] = bytes(90)
    else:
        for _ in range(3):  # in the tables
            bad[rng.randrange(2, 600)] ^= 1 << rng.randrange(8)
    return bytes(bad)


async def feed(worker: RelayWorker, pictures: list[bytes], every_ms: int, since_ms: int = AT_MS) -> int:
    """Five times as fast as they say. A busy machine's worker may leave some out."""
    for n, picture in enumerate(pictures):
        await worker.feed(format_picture(picture, since_ms + n * every_ms))
        await trio.sleep(every_ms / 5_000)
    return since_ms + len(pictures) * every_ms


async def begin(worker: RelayWorker, folder: Path, pictures: list[bytes], since_ms: int = AT_MS) -> int:
    """The time at which HLS runs: what comes while the codecs are opened may be too late for it."""
    await worker.order(AttachHls(id="h", folder=str(folder), prefix="p", segment_s=1.0))
    now_ms = since_ms
    while not worker.all(Segment):
        now_ms = await feed(worker, pictures, 66, now_ms)
    return now_ms


@pytest.mark.parametrize("seed", [1, 2])
async def test_pictures_when_two_of_three_are_damaged_then_it_goes_on_as_if_nothing_was(
    tmp_path: Path, seed: int
) -> None:
    rng, good = random.Random(seed), jpegs()
    async with relay_worker(Start(kind="jpeg"), pipe=True) as worker:
        now = await begin(worker, tmp_path, jpegs())
        await feed(worker, [good[n % 10] if n % 3 == 0 else damaged(good[n % 10], rng) for n in range(200)], 66, now)
        worker.end_media()
        assert (await ended(worker)).code == "eof"
        assert len(worker.all(Opened)) == 1, "a damaged picture's size is not believed"
        assert [e.error for e in worker.all(SinkEnded)] == [None]
        segments = worker.all(Segment)
    assert len(segments) > 5
    assert [s.first for s in segments] == [True] + [False] * (len(segments) - 1)
    assert play(tmp_path, segments).sizes == ((320, 240),)


async def test_pictures_when_their_size_changes_then_hls_goes_on_with_the_new_one(tmp_path: Path) -> None:
    async with relay_worker(Start(kind="jpeg"), pipe=True) as worker:
        now = await begin(worker, tmp_path, jpegs())
        await feed(worker, jpegs(size=(641, 481)) * 4, 66, now)
        worker.end_media()
        assert (await ended(worker)).code == "eof"
        assert [o.tracks[0].width for o in worker.all(Opened)] == [320, 641]
        segments = worker.all(Segment)
    (turn,) = (n for n, s in enumerate(segments) if s.first and n)
    assert segments[turn].init != segments[0].init
    assert play(tmp_path, segments[:turn]).sizes == ((320, 240),)
    assert play(tmp_path, segments[turn:]).sizes == ((640, 480),)


async def test_pictures_when_they_come_once_a_second_more_or_less_then_each_is_a_segment(tmp_path: Path) -> None:
    async with relay_worker(Start(kind="jpeg"), pipe=True) as worker:
        at_ms = await begin(worker, tmp_path, jpegs())
        before = len(worker.all(Segment))
        for n, gap in enumerate([1000, 1000, 900, 1100, 1000, 400, 600, 1000, 1000, 1000]):
            await worker.feed(format_picture(jpegs()[n % 10], at_ms))
            at_ms += gap
            await trio.sleep(0.1)
        worker.end_media()
        assert (await ended(worker)).code == "eof"
        segments = worker.all(Segment)
    assert len(segments) - before >= 6
    assert max(s.duration_s for s in segments) <= 2.2, "but for one that a busy worker left out"
    assert play(tmp_path, segments[before + 1 :]).pictures >= 6


async def test_pictures_when_many_have_waited_for_the_worker_then_they_are_not_taken_for_a_fast_camera(
    tmp_path: Path,
) -> None:
    small = jpegs(size=(64, 48))
    async with relay_worker(Start(kind="jpeg", max_pixels=64 * 48 * 30), pipe=True) as worker:
        await worker.feed(b"".join(format_picture(small[n % 10], AT_MS + n * 66) for n in range(30)))
        await worker.said(Opened)
        await begin(worker, tmp_path, small, AT_MS + 30 * 66)
        assert not worker.all(SinkEnded)

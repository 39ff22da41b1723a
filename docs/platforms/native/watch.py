"""Watches everybody in a room, by LiveKit's native SDK (pip install livekit): says what it sees and hears.

Usage: LIVEKIT_URL=<wsUrl> LIVEKIT_TOKEN=<token> python watch.py
"""

import asyncio
import os
import signal
import time

from livekit import rtc


async def see(track, who):
    """Decoded frames; ``frame.convert(rtc.VideoBufferType.RGB24)`` for numpy, OpenCV, a window."""
    stream = rtc.VideoStream(track)
    said, frames = time.monotonic(), 0
    async for event in stream:
        frames += 1
        if frames == 1 or time.monotonic() - said >= 5:
            said = time.monotonic()
            print(f"{who}: {frames} frames, {event.frame.width}x{event.frame.height}", flush=True)
    await stream.aclose()


async def hear(track, who):
    """Decoded sound, 16-bit samples."""
    stream = rtc.AudioStream(track)
    loud = False
    async for event in stream:
        peak = max(map(abs, memoryview(event.frame.data).cast("B").cast("h")), default=0)
        if (peak > 1000) != loud:
            loud = not loud
            print(f"{who}: {'sound' if loud else 'silence'}", flush=True)
    await stream.aclose()


async def main():
    room, over, jobs = rtc.Room(), asyncio.Event(), set()

    def begin(track, publication, participant):
        job = (see if track.kind == rtc.TrackKind.KIND_VIDEO else hear)(track, participant.identity)
        task = asyncio.create_task(job)
        jobs.add(task)
        task.add_done_callback(jobs.discard)

    room.on("track_subscribed", begin)
    room.on("participant_disconnected", lambda participant: print(f"{participant.identity} left", flush=True))
    # The SDK reconnects by itself; this is the end of it: put out, or unreachable for too long.
    room.on("disconnected", lambda reason: over.set())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await room.connect(os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_TOKEN"])
    print(f"watching {room.name}", flush=True)
    await over.wait()
    for job in jobs:
        job.cancel()
    await room.disconnect()


asyncio.run(main())

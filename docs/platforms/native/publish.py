"""Publishes a moving picture and a tone into a room, by LiveKit's native SDK (pip install livekit).

Usage: LIVEKIT_URL=<wsUrl> LIVEKIT_TOKEN=<token> python publish.py
"""

import asyncio
import math
import os
import signal
from array import array

from livekit import rtc

WIDTH, HEIGHT, FPS = 640, 360, 25
RATE, TONE = 48_000, 440


async def draw(source):
    """A bar that walks over the picture; put your own frames (RGBA, I420, NV12 …) here."""
    row = [bytes((30, 60, 90, 255))] * WIDTH
    for count in forever():
        at = count * 8 % (WIDTH - 40)
        line = b"".join([*row[:at], bytes((250, 200, 40, 255)) * 40, *row[at + 40 :]])
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, line * HEIGHT))
        await asyncio.sleep(1 / FPS)


async def hum(source):
    """A tone in pieces of 10 ms; put your own 16-bit samples here. The source itself keeps the pace."""
    size = RATE // 100
    for count in forever():
        wave = (12_000 * math.sin(2 * math.pi * TONE * n / RATE) for n in range(count * size, (count + 1) * size))
        await source.capture_frame(rtc.AudioFrame(array("h", map(int, wave)).tobytes(), RATE, 1, size))


def forever():
    count = 0
    while True:
        yield count
        count += 1


async def main():
    room, over = rtc.Room(), asyncio.Event()
    # The SDK reconnects by itself; this is the end of it: put out, or unreachable for too long.
    room.on("disconnected", lambda reason: over.set())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await room.connect(os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_TOKEN"])
    video, audio = rtc.VideoSource(WIDTH, HEIGHT), rtc.AudioSource(RATE, 1)
    jobs = [asyncio.create_task(job) for job in (draw(video), hum(audio), over.wait())]
    try:
        await room.local_participant.publish_track(
            rtc.LocalVideoTrack.create_video_track("camera", video),
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA),
        )
        await room.local_participant.publish_track(
            rtc.LocalAudioTrack.create_audio_track("microphone", audio),
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
        )
        print(f"publishing in {room.name} as {room.local_participant.identity}", flush=True)
        done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in done:
            job.result()  # raises what went wrong in it
    finally:
        for job in jobs:
            job.cancel()
        await room.disconnect()


asyncio.run(main())

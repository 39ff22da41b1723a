"""A LiveKit client in a process of its own (LiveKit's Python SDK): JSON lines in, JSON lines out.

In: first ``{"url", "token"}`` (with ``"marks": true`` it reads the pictures of ``marks.py`` and listens for their
tone), then ``{"do": "publish", "kind": "video" | "audio"}``, ``{"do": "unpublish"}``, ``{"do": "count"}`` (pictures
decoded so far) and ``{"do": "say", "text"}``; at the end of the input it leaves. Out: ``{"event": …}`` for what
happens. A video track moves, an audio track hums.

What LiveKit does not allow it does not answer either: ``refused`` is said when none has come for long enough.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from livekit import rtc

from tests.support.marks import is_tone, read

WIDTH, HEIGHT, FPS = 320, 240, 15
RATE = 48_000
KINDS = {rtc.TrackKind.KIND_VIDEO: "video", rtc.TrackKind.KIND_AUDIO: "audio"}
MARK_EVERY_S, TONE_EVERY = 0.15, 100  # seconds; frames of 10 ms
REFUSED_S = 15.0  # no answer for so long: that is how LiveKit refuses


decoded: dict[str, int] = {}  # pictures so far, by whose they are


def say(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


async def commands() -> AsyncIterator[dict[str, Any]]:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def draw(source: rtc.VideoSource) -> None:
    shade = 0
    while True:
        shade = (shade + 7) % 256
        frame = rtc.VideoFrame(
            WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, bytes((shade, 255 - shade, 128, 255)) * (WIDTH * HEIGHT)
        )
        source.capture_frame(frame)
        await asyncio.sleep(1 / FPS)


async def hum(source: rtc.AudioSource) -> None:
    count = RATE // 100
    wave = b"".join(
        int(12_000 * math.sin(2 * math.pi * 440 * n / RATE)).to_bytes(2, "little", signed=True)
        for n in range(count * 11)
    )
    at = 0
    while True:
        await source.capture_frame(rtc.AudioFrame(wave[at * 2 : (at + count) * 2], RATE, 1, count))
        at = (at + count) % (count * 11)


async def watch_marks(track: rtc.Track, who: str) -> None:
    """Tell what its pictures say, and whether its sound is the tone."""
    if track.kind == rtc.TrackKind.KIND_VIDEO:
        last = 0.0
        async for event in rtc.VideoStream(track):
            if (now := asyncio.get_running_loop().time()) < last + MARK_EVERY_S:
                continue
            last, frame = now, event.frame.convert(rtc.VideoBufferType.I420)
            if (mark := read(bytes(frame.get_plane(0) or b""), frame.width, frame.height)) is not None:
                say("mark", who=who, life=mark[0], n=mark[1])
        return
    count, wave = 0, list[int]()
    async for sound in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        count += 1
        if count % TONE_EVERY < 10:
            wave.extend(memoryview(sound.frame.data).cast("B").cast("h")[::6])
        elif wave:
            if is_tone(wave, RATE // 6):
                say("tone", who=who)
            wave = []


async def watch(track: rtc.Track, who: str) -> None:
    """Count what really arrives, decoded."""
    if track.kind == rtc.TrackKind.KIND_VIDEO:
        frames = 0
        async for event in rtc.VideoStream(track):
            frames += 1
            decoded[who] = frames
            if frames in (1, 10):
                say("frames", who=who, count=frames, width=event.frame.width)
    else:
        loudest = 0
        async for sound in rtc.AudioStream(track):
            peak = max(map(abs, memoryview(sound.frame.data).cast("B").cast("h")), default=0)
            if peak > 2000 >= loudest:
                say("sound", who=who)
            loudest = max(loudest, peak)


async def publish(room: rtc.Room, track: Any, options: rtc.TrackPublishOptions, kind: str) -> None:
    # Not cancelled after that time: the SDK's call takes no notice of it.
    sending = asyncio.ensure_future(room.local_participant.publish_track(track, options))
    done, _ = await asyncio.wait({sending}, timeout=REFUSED_S)
    if done and sending.exception() is None:
        say("published", kind=kind)
    else:
        say("refused", kind=kind)


async def speak(room: rtc.Room, text: str) -> None:
    await room.local_participant.publish_data(text.encode())


async def main() -> None:
    asked = commands()
    first = await anext(asked)
    room = rtc.Room()
    look = watch_marks if first.get("marks") else watch
    tasks: set[asyncio.Task[None]] = set()

    def start(job: Any) -> None:
        task = asyncio.ensure_future(job)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    room.on("reconnecting", lambda: say("reconnecting"))
    room.on("reconnected", lambda: say("reconnected"))
    room.on("disconnected", lambda reason: say("disconnected", reason=rtc.DisconnectReason.Name(reason)))
    room.on("participant_connected", lambda p: say("participant", who=p.identity))
    room.on(
        "data_received",
        lambda d: say("data", who=None if d.participant is None else d.participant.identity, text=d.data.decode()),
    )
    room.on("track_muted", lambda p, publication: say("muted", who=p.identity, kind=KINDS[publication.kind]))
    room.on("track_unpublished", lambda publication, p: say("withdrawn", who=p.identity, kind=KINDS[publication.kind]))
    room.on("track_subscribed", lambda t, _publication, p: start(look(t, p.identity)))
    try:
        await room.connect(first["url"], first["token"])
    except rtc.ConnectError as exc:
        say("refused", why=str(exc))
        return
    say("joined", who=room.local_participant.identity, room=room.name)
    counts = 0
    async for one in asked:
        local = room.local_participant
        if one["do"] == "unpublish":
            for sid in list(local.track_publications):
                await local.unpublish_track(sid)
            say("unpublished")
            continue
        if one["do"] == "count":
            counts += 1
            say("counted", nth=counts, frames=sum(decoded.values()), at=time.monotonic())
            continue
        if one["do"] == "say":
            start(speak(room, one["text"]))
            continue
        if one["kind"] == "video":
            video = rtc.VideoSource(WIDTH, HEIGHT)
            track: Any = rtc.LocalVideoTrack.create_video_track("camera", video)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False)
            start(draw(video))
        else:
            audio = rtc.AudioSource(RATE, 1)
            track = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            start(hum(audio))
        start(publish(room, track, options, one["kind"]))
    await room.disconnect()


if __name__ == "__main__":
    asyncio.run(main())

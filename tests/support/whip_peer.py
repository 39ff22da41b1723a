"""A WHIP encoder in a process of its own (aiortc): one JSON object in, JSON lines out.

In: ``{"url", "key", "video": codec or null, "audio": true, "wait": bool}``. ``wait``: write the offer, then wait for a
line ``{"answer", "etag"}`` instead of asking the server itself. Out: ``{"event": …}``. A closed input ends it: with
``{"do": "stop"}`` politely (DELETE), else by leaving.
"""

from __future__ import annotations

import array
import asyncio
import fractions
import json
import math
import sys
import time
from typing import Any
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack


def say(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


class Moving(VideoStreamTrack):
    """A picture that changes with every frame."""

    async def recv(self) -> av.VideoFrame:
        pts, base = await self.next_timestamp()
        shade = (pts // 900) % 256
        frame = av.VideoFrame(320, 240, "rgb24")
        frame.planes[0].update(bytes((shade,)) * frame.planes[0].buffer_size)
        frame.pts, frame.time_base = pts, base
        return frame


class Tone(AudioStreamTrack):
    """440 Hz."""

    def __init__(self) -> None:
        super().__init__()
        self.start, self.sent = time.monotonic(), 0

    async def recv(self) -> av.AudioFrame:
        count = 960
        await asyncio.sleep(max(0.0, self.start + self.sent / 48000 - time.monotonic()))
        times = range(self.sent, self.sent + count)
        wave = array.array("h", (int(12000 * math.sin(2 * math.pi * 440 * n / 48000)) for n in times))
        frame = av.AudioFrame("s16", "mono", count)
        frame.planes[0].update(wave.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = 48000, self.sent, fractions.Fraction(1, 48000)
        self.sent += count
        return frame


def ask(method: str, url: str, key: str, body: str = "", headers: dict[str, str] | None = None) -> Any:
    sent = {"Authorization": f"Bearer {key}", **(headers or {})}
    return urlopen(Request(url, body.encode() or None, sent, method=method), timeout=15)


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    wants = json.loads(await reader.readline())
    # Without this, aiortc asks a STUN server on the internet, and gathers for as long as a name server takes to say no.
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    @peer.on("connectionstatechange")
    async def changed() -> None:
        say("connection", state=peer.connectionState)

    if wants.get("audio"):
        peer.addTransceiver(Tone(), direction="sendonly")
    if wants.get("video"):
        sender = peer.addTransceiver(Moving(), direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        sender.setCodecPreferences([c for c in codecs if c.name.lower() == wants["video"]])
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp
    location = ""
    started = time.monotonic()
    if wants.get("wait"):
        say("offer", sdp=offer)
        answer = json.loads(await reader.readline())["answer"]
    else:
        reply = await loop.run_in_executor(
            None, ask, "POST", wants["url"], wants["key"], offer, {"Content-Type": "application/sdp"}
        )
        answer, location = reply.read().decode(), urljoin(wants["url"], reply.headers["Location"])
        say("answered", status=reply.status, seconds=time.monotonic() - started, location=location)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    line = await reader.readline()
    if line and location:
        reply = await loop.run_in_executor(None, ask, "DELETE", location, wants["key"])
        say("deleted", status=reply.status)
    await peer.close()


asyncio.run(main())

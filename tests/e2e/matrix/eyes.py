"""Real clients of every output, each a task that notes what it sees and hears for as long as it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import pairwise

import attrs
import trio
from trio_websocket import ConnectionClosed, HandshakeError

from tests.e2e.whip.conftest import viewer_of
from tests.support.marks import is_tone, read, read_jpeg
from tests.support.rtc import RtcPeer, peer_process, rtc_peer
from tests.support.server import Server
from tests.support.waiting import eventually

GREY, SOUND_HZ = (32, 24), 8000
SILENT_S = 20.0
PICTURES = 4
PAUSE_S = 0.6


@attrs.define(eq=False)
class Eye:
    """What one client has seen: the numbers of pictures by life, in which lives it heard the tone, by what means.

    ``starts``: how often the player was started;
    ``longest_s``: the longest time without a new picture; ``resumed_at``: when the last pause (of ``PAUSE_S``) ended.
    """

    name: str
    seen: dict[int, list[int]] = attrs.field(factory=dict)
    heard: set[int] = attrs.field(factory=set)
    means: dict[int, set[str]] = attrs.field(factory=dict)
    first_at: dict[int, float] = attrs.field(factory=dict)
    last_at: float = float("inf")
    starts: int = 1
    longest_s: float = 0.0
    resumed_at: float = 0.0
    _life: int = 0

    def mark(self, life: int, n: int, means: str = "") -> None:
        """It showed this picture."""
        now = trio.current_time()
        pause = now - self.last_at
        self.longest_s = max(self.longest_s, pause)
        if pause > PAUSE_S:
            self.resumed_at = now
        self._life, self.last_at = life, now
        self.first_at.setdefault(life, now)
        numbers = self.seen.setdefault(life, [])
        if not numbers or numbers[-1] != n:
            numbers.append(n)
        if means:
            self.means.setdefault(life, set()).add(means)

    def tone(self) -> None:
        """It sounded the tone, most likely of the pictures it showed last."""
        self.heard.add(self._life)

    def moves(self, life: int) -> bool:
        """Whether several pictures of that life came, in their order (a player that starts anew may go back once)."""
        numbers = self.seen.get(life, [])
        back = sum((b - a) % 256 > 128 for a, b in pairwise(numbers))
        return len(set(numbers)) >= PICTURES and back <= len(numbers) // 3


Watch = Callable[[Server, str, Eye], Awaitable[None]]


async def webrtc(server: Server, room: str, eye: Eye) -> None:
    """LiveKit's SDK."""
    async with rtc_peer(*await viewer_of(server, room, f"viewer-{id(eye)}"), marks=True) as peer:
        at = 0
        while True:
            for event in peer.events[at:]:
                if event["event"] == "mark":
                    eye.mark(event["life"], event["n"])
                elif event["event"] == "tone":
                    eye.tone()
            at = len(peer.events)
            await trio.sleep(0.1)


async def hls(server: Server, room: str, eye: Eye, *, sound: bool = True) -> None:
    """ffmpeg, as soon as there is a list, and anew when it gives up; ``sound``: there has to be some."""
    path, starts = f"/hls/live/{room}/index.m3u8", 0
    while True:
        if (await server.request("GET", path, token=None)).status == 200:
            eye.starts = starts = starts + 1
            await _ffmpeg(server.base_url + path, eye, sound=sound)
        await trio.sleep(0.5)


async def mjpeg(server: Server, room: str, eye: Eye) -> None:
    """ffmpeg."""
    while True:
        await _ffmpeg(f"{server.base_url}/live/live/{room}/mjpeg", eye, sound=False)
        await trio.sleep(0.5)


async def frame(server: Server, room: str, eye: Eye) -> None:
    """One request after the other; only an answer 200 is a live picture."""
    while True:
        answer = await server.request("GET", f"/live/live/{room}/frame.jpg", token=None)
        if answer.status == 200 and (found := read_jpeg(answer.body)) is not None:
            eye.mark(*found)
        await trio.sleep(0.25)


async def viewer_ws(server: Server, room: str, eye: Eye) -> None:
    """A WebSocket that takes binary messages for pictures."""
    while True:
        with suppress(ConnectionClosed, HandshakeError, OSError):
            async with server.socket(f"/live/ws?app=live&room={room}&fps=5") as socket:
                while True:
                    message = await socket.get_message()
                    if isinstance(message, bytes) and (found := read_jpeg(message)) is not None:
                        eye.mark(*found)
        await trio.sleep(0.5)


OUTSIDE: dict[str, Watch] = {
    "WebRTC": webrtc,
    "HLS": hls,
    "mjpeg": mjpeg,
    "frame.jpg": frame,
    "viewer WS": viewer_ws,
}
PAGES = ("/play", "/embed", "wall")


async def _ffmpeg(url: str, eye: Eye, *, sound: bool) -> None:
    """Until it ends, or nothing new has come for long."""
    words = ["ffmpeg", *["-hide_banner", "-loglevel", "error", "-nostdin", "-fflags", "nobuffer", "-i"], url]
    scale = f"scale={GREY[0]}:{GREY[1]}:flags=area,format=gray"
    words += f"-map 0:v:0 -vf {scale} -vsync 0 -f rawvideo pipe:1".split()
    reads, writes = os.pipe()
    if sound:
        words += f"-map 0:a:0 -ac 1 -ar {SOUND_HZ} -flush_packets 1 -f s16le pipe:{writes}".split()
    process = await trio.lowlevel.open_process(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(writes,)
    )
    os.close(writes)
    assert process.stdout is not None
    video, audio = process.stdout, trio.lowlevel.FdStream(reads)
    scope = trio.CancelScope(deadline=trio.current_time() + SILENT_S)

    async def look() -> None:
        size, data = GREY[0] * GREY[1], b""
        while got := await video.receive_some():
            data += got
            while len(data) >= size:
                if (found := read(data, *GREY)) is not None:
                    eye.mark(*found)
                    scope.deadline = trio.current_time() + SILENT_S
                data = data[size:]

    async def listen() -> None:
        data = b""
        while got := await audio.receive_some():
            data += got
            while len(data) >= SOUND_HZ:  # half a second
                # Somebody else may be heard beside it.
                if is_tone(memoryview(data[:3200]).cast("h").tolist(), SOUND_HZ, share=0.1):
                    eye.tone()
                data = data[SOUND_HZ:]

    try:
        with scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen)
                await look()
                nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await video.aclose()
            await audio.aclose()


async def pages(
    server: Server,
    room: str,
    wall: Sequence[str],
    eyes: dict[str, Eye],
    *,
    task_status: trio.TaskStatus[RtcPeer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Chromium with ``/play``, ``/embed`` and a wall of the rooms; each frame of the wall has its eye: ``wall/ROOM``.

    Started when all are open. They are never loaded anew.
    """
    base = server.base_url
    embeds = [f"{base}/embed/live/{one}?muted=0" for one in (room, *wall)]
    async with peer_process([sys.executable, "-m", "tests.support.page_peer"]) as peer:
        commands = [
            {"do": "open", "page": "/play", "url": f"{base}/play/live/{room}"},
            {"do": "open", "page": "/embed", "url": f"{base}/embed/live/{room}"},
            {"do": "wall", "page": "wall", "urls": embeds},
        ]
        for command in commands:
            await peer.do(str(command.pop("do")), **command)
        for name in PAGES:
            await peer.said("opened", page=name, within_s=90)
        task_status.started(peer)
        at = 0
        while True:
            for event in peer.events[at:]:
                name = event["page"]
                if name == "wall" and event.get("frame"):
                    name = f"wall/{event['frame'].partition('?')[0].rpartition('/')[2]}"
                if event["event"] == "mark":
                    eyes.setdefault(name, Eye(name)).mark(event["life"], event["n"], event["kind"])
                elif event["event"] == "tone":
                    eyes.setdefault(name, Eye(name)).tone()
            at = len(peer.events)
            await trio.sleep(0.1)


async def see(eyes: Sequence[Eye], life: int, within_s: float, *, sound: bool) -> None:
    """Return once all show that life moving, with the tone if they are to sound; returns in any case in that time."""
    with suppress(trio.TooSlowError):
        await eventually(lambda: all(e.moves(life) and (not sound or life in e.heard) for e in eyes), within_s)


async def all_see(eyes: Collection[Eye], check: Callable[[Eye], bool], within_s: float) -> None:
    """Return once that holds of all; fails with what each has seen."""
    with suppress(trio.TooSlowError):
        await eventually(lambda: all(map(check, eyes)), within_s)
    assert all(map(check, eyes)), found(eyes)


def found(eyes: Iterable[Eye]) -> str:
    """What each has seen, a line each."""
    lines = []
    for eye in eyes:
        seen = {life: (len(numbers), numbers[-8:]) for life, numbers in eye.seen.items()}
        lines.append(f"{eye.name}: {seen} heard {eye.heard} by {eye.means}, started {eye.starts} times")
    return "\n".join(lines)

"""Real publishers of every kind, each a process that can be stopped, killed and started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

import attrs
import trio

from tests.support.marks import FPS, graph, jpeg
from tests.support.rtc import ROOT, RtcPeer, peer_process
from tests.support.rtsp import KINDS, PYTHON, SCRIPT
from tests.support.server import PROGRAM, Server, clean_env

Kind = Literal["webrtc", "whip", "rtmp", "rtsp", "url", "camera"]
CLIP_S = 120  # longer than any life in the tests
TONE = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=3600,volume=4"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", str(FPS), "-b:v", "300k"]
H265 = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", str(FPS), "-b:v", "300k"]
H265 += ["-x265-params", "log-level=none:bframes=0"]
B_FRAMES, NO_B_FRAMES = ["-bf", "2", "-b_strategy", "0", "-sc_threshold", "0"], ["-tune", "zerolatency"]
AAC = ["-c:a", "aac", "-ac", "2"]
FFMPEG = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]


@attrs.frozen
class Row:
    """One way in. ``video`` as it is printed, ``encode`` how ffmpeg is told, if it is the encoder."""

    name: str
    kind: Kind
    video: str
    audio: bool = True
    encode: tuple[str, ...] = ()
    rtsp: str = ""


@attrs.define(eq=False)
class Source:
    """A publisher into one room. ``identity``: as whom LiveKit knows it."""

    row: Row
    server: Server
    room: str
    folder: Path
    made: dict[str, Any] = attrs.field(factory=dict)
    process: trio.Process | None = None
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack)
    _peer: RtcPeer | None = None
    _port: int = 0

    async def start(self, life: int) -> None:
        """Begin to publish pictures of that life; returns once the publisher has begun to try."""
        await {
            "webrtc": self._browser,
            "whip": self._whip,
            "rtmp": self._rtmp,
            "rtsp": self._rtsp,
            "url": self._url,
            "camera": self._camera,
        }[self.row.kind](life)

    async def prepare(self, life: int) -> None:
        """Make the camera's film in advance, so that ``start`` takes no time."""
        await self._film(life)

    async def stop(self, *, kill: bool = False) -> None:
        """As its user would end it; ``kill``: as when its power fails."""
        process, self.process = self.process, None
        assert process is not None
        if self._peer is not None and not kill:
            await self._peer.do("leave", seat=self._peer.events[-1]["seat"])
            return
        if kill or self.row.kind in ("rtsp", "url"):  # cameras and web servers have no other end
            process.kill()
        elif self.row.kind == "whip":
            assert process.stdin is not None
            await process.stdin.aclose()
        else:
            process.send_signal(signal.SIGINT)
        with trio.move_on_after(10):
            await process.wait()
        await self._stack.aclose()
        self._stack, self._peer = AsyncExitStack(), None

    async def aclose(self) -> None:
        """End it if it runs."""
        with trio.CancelScope(shield=True):
            if self.process is not None:
                self.process.kill()
            await self._stack.aclose()

    # --- one for each kind ----------------------------------------------------------------------------------

    async def _run(self, *command: str, env: dict[str, str] | None = None, **pipes: Any) -> trio.Process:
        what = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | pipes
        process = await trio.lowlevel.open_process(list(command), cwd=ROOT, env={**clean_env(), **(env or {})}, **what)

        async def end() -> None:
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        await stream.aclose()

        self._stack.push_async_callback(end)
        self.process = process
        return process

    async def _ingress(self, **fields: object) -> None:
        if not self.made:
            body = {"inputType": self.row.kind, "room": self.room, **fields}
            answer = await self.server.request("POST", "/api/v1/apps/live/ingress", body)
            assert answer.status == 201, answer.body
            self.made = answer.data

    async def _browser(self, life: int) -> None:
        body = {"room": self.room, "identity": "ann"}
        token = (await self.server.request("POST", "/api/v1/apps/live/tokens", body)).data["token"]
        peer = self._peer
        if peer is None:
            command = [sys.executable, "-m", "tests.support.browser_peer", self.server.base_url]
            peer = self._peer = await self._stack.enter_async_context(peer_process(command))
        self.process, seat = peer.process, f"life{life}"
        await peer.do("join", seat=seat, url=self.server.ws_url, token=token)
        await peer.said("joined", seat=seat)
        codec = self.row.video.replace(".", "").lower()
        await peer.do("publish", seat=seat, kind="video", life=life, codec=codec)
        await peer.do("publish", seat=seat, kind="audio")
        await peer.said("published", seat=seat, kind="audio")

    async def _whip(self, life: int) -> None:
        await self._ingress()
        url, key = self.made["url"], self.made["streamKey"]
        await self._run(sys.executable, "-m", "tests.support.whip_av", url, key, str(life), stdin=subprocess.PIPE)

    async def _rtmp(self, life: int) -> None:
        await self._ingress()
        words = ["-re", "-f", "lavfi", "-i", graph(life), "-re", *TONE, *self.row.encode, *AAC, "-f", "flv"]
        await self._run(*FFMPEG, *words, self.made["rtmp_url"])

    async def _rtsp(self, life: int) -> None:
        description = KINDS[self.row.rtsp][-1]
        file = await self._film(life)
        port = await self._listen(
            PYTHON, str(SCRIPT), str(file), f"filesrc location=%s ! {description}", str(self._port)
        )
        await self._ingress(url=f"rtsp://127.0.0.1:{port}/main")

    async def _url(self, life: int) -> None:
        serve = [sys.executable, "-m", "tests.support.http_media", str(self._port)]
        if self.row.video == "MJPEG":
            port, path = await self._listen(*serve, "/mjpeg", str(life)), "mjpeg"
        else:
            path = "live.ts"
            file = await self._clip(life, "mpegts", *AAC)
            port = await self._listen(*serve, f"/{path}", str(file), str(CLIP_S))
        await self._ingress(url=f"http://127.0.0.1:{port}/{path}")

    async def _camera(self, life: int) -> None:
        if not self.made:
            self.made = {"streamKey": await self.server.make_key(self.room)}
        pictures = self.folder / f"pictures{life}"
        pictures.mkdir()
        for n in range(256):
            (pictures / f"{n:03}.jpg").write_bytes(jpeg(life, n))
        words = [f"127.0.0.1:{self.server.port}", "--room", self.room, "--source", str(pictures), "--fps", str(FPS)]
        await self._run(*PROGRAM, "camera", *words, env={"STREAMHUB_CAMERA_KEY": self.made["streamKey"]})

    async def _listen(self, *command: str) -> int:
        """A server that prints its port; it gets the same one each time."""
        process = await self._run(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        said = b""
        with trio.fail_after(60):
            while not said.endswith(b"\n"):
                data = await process.stdout.receive_some()
                assert data, "the server of the source did not start"
                said += data
        self._port = int(said)
        return self._port

    async def _film(self, life: int) -> Path:
        container, _, audio, rate, _ = KINDS[self.row.rtsp]
        codec = "aac" if audio == "aac" else "pcm_alaw"
        return await self._clip(life, container, "-c:a", codec, "-ac", "1", "-ar", str(rate))

    async def _clip(self, life: int, container: str, *audio: str) -> Path:
        """A long file in which sixteen seconds, encoded once, come round and round."""
        file, once = self.folder / f"clip{life}.{container}", self.folder / f"once{life}.mov"
        if file.exists():
            return file
        encode = ["-f", "lavfi", "-i", graph(life), *TONE, *self.row.encode, *audio]
        await trio.run_process([*FFMPEG, *encode, "-t", str(256 // FPS), str(once)])
        again = ["-stream_loop", str(CLIP_S * FPS // 256), "-i", str(once), "-c", "copy", "-t", str(CLIP_S)]
        await trio.run_process([*FFMPEG, *again, "-f", container, str(file)])
        return file

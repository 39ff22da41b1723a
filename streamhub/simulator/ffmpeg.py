"""Video files and webcams, decoded by an ffmpeg child that ends when we do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from streamhub.simulator.mpjpeg import Splitter
from streamhub.simulator.picture import Size
from streamhub.simulator.protocol import printable
from streamhub.simulator.sources import SourceFailed

FIRST_FRAME_S = 20.0
NEXT_FRAME_S = 10.0
END_S = 1.0


def ffmpeg_arguments(path: Path, *, size: Size, fps: float, quality: int) -> list[str]:
    """The command line: a device is opened as it is, a file plays at its own speed, again and again."""
    width, height = size
    if path.is_char_device():
        source = ["-f", "v4l2", "-framerate", f"{fps:g}", "-video_size", f"{width}x{height}", "-i", str(path)]
    else:
        # "file:" so that a name with a colon or a leading dash is not taken for a protocol or an option.
        source = ["-re", "-stream_loop", "-1", "-i", f"file:{path}"]
    fit = (
        f"fps={fps:g},scale={width}:{height}:force_original_aspect_ratio=decrease,"
        f"pad={width}:{height}:-1:-1,format=yuvj420p"
    )
    # ffmpeg's scale runs from 2 (best) to 31.
    scale = round(2 + (100 - quality) * 29 / 99)
    output = ["-an", "-sn", "-vf", fit, "-c:v", "mjpeg", "-q:v", str(scale), "-f", "mpjpeg", "-"]
    return ["-hide_banner", "-nostdin", "-loglevel", "error", *source, *output]


@attrs.define
class FfmpegFrames:
    """The newest frame of a running child. Made by ``open_ffmpeg``."""

    what: str
    _frame: bytes = b""
    _number: int = 0
    _taken: int = 0
    _ended: str | None = None
    _news: trio.Event = attrs.field(factory=trio.Event)

    async def next_frame(self) -> bytes:
        deadline = NEXT_FRAME_S if self._taken else FIRST_FRAME_S
        with trio.move_on_after(deadline) as waiting:
            while self._taken == self._number and self._ended is None:
                await self._news.wait()
        if waiting.cancelled_caught:
            raise SourceFailed(f"ffmpeg gave no frame of {self.what} for {deadline:g} s")
        if self._taken == self._number:
            raise SourceFailed(f"ffmpeg ended on {self.what}: {self._ended}", hint="Try the same file with ffplay.")
        self._taken = self._number
        return self._frame

    def lower_quality(self) -> bool:
        return False

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def put(self, frame: bytes) -> None:
        """A new frame; an unread older one is forgotten."""
        self._frame = frame
        self._number += 1
        self._wake()

    def end(self, why: str) -> None:
        """No more frames will come."""
        self._ended = why
        self._wake()


@asynccontextmanager
async def open_ffmpeg(path: Path, *, size: Size, fps: float, quality: int) -> AsyncIterator[FfmpegFrames]:
    """Frames of a video file or ``/dev/videoN``; the child is gone on leaving. Raises SourceFailed without ffmpeg."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise SourceFailed(
            "ffmpeg is not installed; it decodes video files and webcams",
            hint="Install it ('apt install ffmpeg'), or use --source test or a folder of JPEGs.",
        )
    command = [program, *ffmpeg_arguments(path, size=size, fps=fps, quality=quality)]
    frames = FfmpegFrames(str(path))
    async with trio.open_nursery() as nursery:
        start = partial(
            trio.run_process,
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
            deliver_cancel=_end_child,
        )
        child: trio.Process = await nursery.start(start)
        nursery.start_soon(_read_frames, child, frames)
        try:
            yield frames
        finally:
            nursery.cancel_scope.cancel()


async def _end_child(child: trio.Process) -> None:
    # It holds nothing that a kill could harm, and a frozen one must not keep us.
    child.terminate()
    with trio.move_on_after(END_S, shield=True):
        await child.wait()
    child.kill()


async def _read_frames(child: trio.Process, frames: FfmpegFrames) -> None:
    assert child.stdout is not None
    assert child.stderr is not None
    splitter, problem, said = Splitter(), "", bytearray()

    async def listen(stream: trio.abc.ReceiveStream) -> None:
        async for chunk in stream:
            said.extend(chunk)
            del said[:-2000]

    try:
        # The nursery is the inner one: stderr is closed only when it has been read to its end.
        async with child.stdout, child.stderr, trio.open_nursery() as nursery:
            nursery.start_soon(listen, child.stderr)
            async for chunk in child.stdout:
                for frame in splitter.feed(bytes(chunk)):
                    frames.put(frame)
    except* ValueError as group:
        problem = f"its output is not understood: {group.exceptions[0]}"
    finally:
        lines = [printable(line) for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        frames.end(problem or (lines[-1] if lines else "no more frames"))

"""``streamhub camera``: a camera in software, sending to any StreamHub server."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import click
import trio

from streamhub.errors import StreamHubError
from streamhub.simulator.camera import CameraOptions
from streamhub.simulator.console import Console
from streamhub.simulator.ffmpeg import open_ffmpeg
from streamhub.simulator.fleet import KeyRow, read_keys, run_fleet
from streamhub.simulator.picture import LARGEST, SMALLEST, Picture, Size
from streamhub.simulator.sources import Folder, FrameSource, Recompressed, Shared
from streamhub.simulator.target import Target, parse_target

JPEG_SUFFIXES = (".jpg", ".jpeg")


class SizeType(click.ParamType[Size]):
    """``640x480``."""

    name = "WxH"

    def convert(self, value: str | Size, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", value.lower())
        size = (int(match[1]), int(match[2])) if match else (0, 0)
        if not all(low <= n <= high for n, low, high in zip(size, SMALLEST, LARGEST, strict=True)):
            self.fail(
                f"{value!r} is not a size such as 640x480, {SMALLEST[0]}x{SMALLEST[1]} to {LARGEST[0]}x{LARGEST[1]}"
            )
        return size


@attrs.frozen(kw_only=True)
class Plan:
    """The command line, checked. ``path``: None for the test picture. ``pictures``: JPEGs there, not a video."""

    cameras: tuple[CameraOptions, ...]
    path: Path | None
    pictures: bool
    size: Size
    fps: float
    quality: int
    duration_s: float | None


@click.command("camera")
@click.argument("address", metavar="URL_OR_HOST", required=False)
@click.option("--app", help="The app, 'live' unless the URL says otherwise.")
@click.option("--room", help="The room; needed unless the URL or --keys names it.")
@click.option("--identity", help="Name of this device among the room's streams.")
@click.option(
    "--key", envvar="STREAMHUB_CAMERA_KEY", show_envvar=True, help="Camera key, wsk_…; better by environment or file."
)
@click.option(
    "--key-file", type=click.Path(path_type=Path, dir_okay=False), help="File with the key in its first line."
)
@click.option(
    "--keys",
    "key_list",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV of rooms and keys: one camera each.",
)
@click.option("--count", type=click.IntRange(1), help="Use only the first so many of --keys.")
@click.option(
    "--source", default="test", show_default=True, help="'test', a folder of JPEGs, a video file or /dev/videoN."
)
@click.option("--fps", type=click.FloatRange(0.05, 120), default=10.0, show_default=True, help="Frames per second.")
@click.option("--size", type=SizeType(), default="640x480", show_default=True, help="Of the test picture or video.")
@click.option("--quality", type=click.IntRange(1, 100), default=80, show_default=True, help="JPEG quality.")
@click.option("--frames", type=click.IntRange(1), help="Stop after so many frames (of each camera).")
@click.option("--duration", type=click.FloatRange(0, min_open=True), help="Stop after so many seconds.")
@click.option("--insecure", is_flag=True, help="With wss://, accept any certificate.")
@click.option("--keep-trying", is_flag=True, help="Go on after a refusal (bad key, app switched off, frame too large).")
def camera_command(
    address: str | None,
    app: str | None,
    room: str | None,
    identity: str | None,
    key: str | None,
    key_file: Path | None,
    key_list: Path | None,
    count: int | None,
    source: str,
    fps: float,
    size: Size,
    quality: int,
    frames: int | None,
    duration: float | None,
    insecure: bool,
    keep_trying: bool,
) -> None:
    """Be a camera: send pictures to a room, as an ESP32-CAM would.

    URL_OR_HOST is the wsUrl printed with a key (ws://host:3020/ingest/ws?app=live&room=cam1), or HOST[:PORT] together
    with --room; with --keys it may be left out if the list has wsUrls. The camera reconnects for ever; Ctrl-C ends it.
    The exit code is 1 if the server refused it or if it ended without having sent a frame.

    \b
    Examples:
      streamhub keys create cam1
      STREAMHUB_CAMERA_KEY=wsk_… streamhub camera 127.0.0.1 --room cam1
      streamhub camera wss://cams.example/ingest/ws?room=door --key-file door.key --source holiday.mp4
    """
    try:
        if key_list is not None:
            if room or identity or key_file:
                raise click.UsageError(
                    "--keys names rooms and keys itself: leave --room, --identity and --key-file out"
                )
            rows = read_keys(key_list)[:count]
            pairs = [_row_target(address, app, row) for row in rows]
        else:
            if address is None:
                raise click.UsageError("where to? give the wsUrl printed with the key, or HOST[:PORT] with --room")
            if count is not None:
                raise click.UsageError("--count needs --keys: every camera has its own room and key")
            target, url_key = parse_target(address, app=app, room=room, identity=identity)
            pairs = [(target, _read_key(key, key_file) or url_key or "")]
        cameras = tuple(
            CameraOptions(
                target=target, key=_checked(one), fps=fps, frames=frames, insecure=insecure, keep_trying=keep_trying
            )
            for target, one in pairs
        )
    except StreamHubError as exc:
        raise click.UsageError(f"{exc}\n{exc.hint}") from None
    path = None if source == "test" else Path(source)
    if path is not None and not path.exists():
        raise click.UsageError(f"--source: no {path}; give 'test', a folder of JPEGs, a video file or /dev/videoN")
    plan = Plan(
        cameras=cameras,
        path=path,
        pictures=path is not None and (path.is_dir() or path.suffix.lower() in JPEG_SUFFIXES),
        size=size,
        fps=fps,
        quality=quality,
        duration_s=duration,
    )
    try:
        code = trio.run(_run, plan)
    except KeyboardInterrupt:  # a second Ctrl-C while we were ending anyway
        code = 0
    sys.exit(code)


def _row_target(address: str | None, app: str | None, row: KeyRow) -> tuple[Target, str]:
    if not (address or row.url):
        raise click.UsageError("the list of keys has no column wsUrl: give HOST[:PORT] too")
    target, _ = parse_target(
        address or row.url, app=app or row.app or None, room=row.room, identity=row.identity or None
    )
    return target, row.key


def _read_key(key: str | None, key_file: Path | None) -> str | None:
    if key_file is None:
        return key
    try:
        return key_file.read_text("ascii").strip().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise click.UsageError(f"cannot read {key_file}: {getattr(exc, 'strerror', None) or 'not a key'}") from None


def _checked(key: str) -> str:
    if not key:
        raise click.UsageError(
            "no key: set STREAMHUB_CAMERA_KEY, or give --key-file or --key; 'streamhub keys create ROOM' makes one"
        )
    if not re.fullmatch(r"[!-~]{1,400}", key):
        raise click.UsageError("the key has characters no key has")
    return key


async def _run(plan: Plan) -> int:
    """The exit code."""
    console = Console(sys.stdout, sys.stdout.isatty())
    began = trio.current_time()
    stopped = failed = False

    def fail(name: str, exc: StreamHubError) -> None:
        nonlocal failed
        failed = True
        console.note(f"{name}: {exc}. {exc.hint}")

    async def stop_on_signal(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        nonlocal stopped
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                stopped = True
                scope.cancel()

    async def stop_on_closed_output() -> None:
        await console.closed.wait()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            if plan.duration_s is not None:
                scope.deadline = began + plan.duration_s
            await nursery.start(stop_on_signal)
            nursery.start_soon(stop_on_closed_output)
            try:
                async with _open_source(plan) as source:
                    cameras = [(f"{o.target.app}/{o.target.room}", o, source) for o in plan.cameras]
                    await run_fleet(cameras, console, fail)
            except StreamHubError as exc:
                fail("source", exc)
        console.end(trio.current_time() - began)
        nursery.cancel_scope.cancel()
    if console.closed.is_set():
        # The interpreter's own flush at exit would complain about the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1 if failed or (console.sent == 0 and not stopped) else 0


@asynccontextmanager
async def _open_source(plan: Plan) -> AsyncIterator[FrameSource]:
    """What all cameras of this run send; several share one, so that a picture is encoded once."""
    target, several = plan.cameras[0].target, len(plan.cameras) > 1

    def shared(source: FrameSource) -> FrameSource:
        # A little under a slot, so that cameras in step all get the new picture.
        return Shared(source, 0.9 / plan.fps) if several else source

    if plan.path is None:
        label = f"{target.app} · {len(plan.cameras)} cameras" if several else f"{target.app} / {target.room}"
        yield shared(Picture(plan.size, label, quality=plan.quality))
    elif plan.pictures:
        yield shared(Recompressed(Folder(plan.path)))
    else:
        async with open_ffmpeg(plan.path, size=plan.size, fps=plan.fps, quality=plan.quality) as frames:
            yield shared(Recompressed(frames))

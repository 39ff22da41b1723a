from __future__ import annotations

import io
import os

import pytest
import trio

from streamhub.simulator.camera import CameraState, Progress
from streamhub.simulator.console import Console


def progress(state=CameraState.STREAMING, detail="", hint="", sent=100):
    return Progress(state, 9.96, 25_040.0, sent, 2_500_000, 3, 1, detail, hint)


async def test_line_of_one_camera_when_it_streams_then_tells_all_figures():
    console = Console(io.StringIO(), screen=False)
    console.reporter("live/cam1")(progress())
    assert console.line() == "live/cam1: streaming  10.0 fps  25.0 kB/s  sent 100  dropped 3  reconnects 1"


async def test_line_of_many_cameras_when_they_differ_then_counts_states_and_adds_up():
    console = Console(io.StringIO(), screen=False)
    for n in range(3):
        console.reporter(f"cam{n}")(progress())
    console.reporter("cam3")(progress(CameraState.WAITING, "cannot reach x"))
    head = "4 cameras: 3 streaming, 1 waiting  39.8 fps  100.2 kB/s"
    assert console.line() == f"{head}  sent 400  dropped 12  reconnects 4"


async def test_log_when_a_camera_runs_then_has_one_line_each_ten_seconds(autojump_clock):
    out = io.StringIO()
    console = Console(out, screen=False)
    console.reporter("cam1")(progress())
    with trio.move_on_after(35):
        await console.run()
    assert out.getvalue().splitlines()[0] == "cam1: streaming"
    assert len(out.getvalue().splitlines()) == 1 + 3
    assert "\x1b" not in out.getvalue()


async def test_screen_when_a_camera_runs_then_rewrites_one_line_within_its_width(autojump_clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = io.StringIO()
    console = Console(out, screen=True)
    console.reporter("cam1")(progress())
    with trio.move_on_after(3.5):
        await console.run()
    first, line = out.getvalue().split("\n")
    assert first == "cam1: streaming"
    shown = line.split("\r\x1b[2K")[1:]
    assert len(shown) == 3
    assert {len(s) for s in shown} == {39}
    console.note("something")
    assert out.getvalue().endswith("\r\x1b[2Ksomething\n")


async def test_trouble_when_it_goes_on_then_is_told_once_in_thirty_seconds(autojump_clock):
    out = io.StringIO()
    console = Console(out, screen=False)
    for n in range(100):
        console.reporter(f"cam{n}")(progress(CameraState.WAITING, "cannot reach x", "Plug it in."))
    assert out.getvalue() == "cam0: cannot reach x. Plug it in.\n"
    await trio.sleep(31)
    console.reporter("cam5")(progress())
    console.reporter("cam5")(progress(CameraState.WAITING, "cannot reach x", "Plug it in."))
    assert out.getvalue().splitlines()[1:] == ["cam5: streaming", "cam5: cannot reach x. Plug it in."]


async def test_summary_when_it_ends_then_replaces_the_line():
    out = io.StringIO()
    console = Console(out, screen=True)
    console.reporter("cam1")(progress())
    console.show()
    console.end(10.0)
    assert out.getvalue().endswith("\r\x1b[2K100 frames, 2.5 MB in 10.0 s (10.0 fps), 3 dropped, 1 reconnect\n")


async def test_console_when_nobody_reads_any_more_then_says_so_and_is_silent():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        console = Console(out, screen=False)
        console.note("x" * 10)
        console.note("y")
        with trio.fail_after(1):
            await console.closed.wait()
        # What Python still holds cannot be flushed to a closed pipe.
        with pytest.raises(BrokenPipeError):
            out.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)

"""How a camera, or a fleet of them, shows on a screen or in a log: one line, and a note when something happens."""

from __future__ import annotations

import shutil
from collections import Counter
from functools import partial
from typing import TextIO

import attrs
import trio

from streamhub.simulator.camera import CameraState, Progress, Report

SCREEN_S, LOG_S = 1.0, 10.0
# The same trouble is told once in this time, however many cameras have it.
QUIET_S = 30.0


@attrs.define
class Console:
    """Collects the progress of all cameras; ``run`` shows it. ``screen``: rewrite one line in place.

    ``closed`` is set when nobody reads ``out`` any more.
    """

    out: TextIO
    screen: bool
    _cameras: dict[str, Progress] = attrs.field(factory=dict)
    _noted: dict[str, float] = attrs.field(factory=dict)
    _line_open: bool = False
    closed: trio.Event = attrs.field(factory=trio.Event)

    def reporter(self, name: str) -> Report:
        """The ``report`` of the camera of this name."""
        return partial(self._take, name)

    async def run(self) -> None:
        """Show the line every second on a screen, every 10 s in a log; until cancelled."""
        while True:
            await trio.sleep(SCREEN_S if self.screen else LOG_S)
            self.show()

    def show(self) -> None:
        """Show the line now."""
        if not self._cameras:
            return
        line = self.line()
        if self.screen:
            width = shutil.get_terminal_size().columns
            self._write(f"\r\x1b[2K{line[: width - 1]}")
            self._line_open = True
        else:
            self._write(f"{line}\n")

    def note(self, text: str) -> None:
        """One line that stays."""
        self._write(f"\r\x1b[2K{text}\n" if self._line_open else f"{text}\n")
        self._line_open = False

    def line(self) -> str:
        """All cameras in one line."""
        all_ = self._cameras.values()
        if len(self._cameras) == 1:
            ((name, only),) = self._cameras.items()
            head = f"{name}: {only.state.value}"
        else:
            states = Counter(p.state.value for p in all_)
            head = f"{len(self._cameras)} cameras: " + ", ".join(f"{n} {word}" for word, n in states.most_common())
        return (
            f"{head}  {sum(p.fps for p in all_):.1f} fps  {sum(p.bytes_per_s for p in all_) / 1000:.1f} kB/s"
            f"  sent {self.sent}  dropped {sum(p.dropped for p in all_)}"
            f"  reconnects {sum(p.reconnects for p in all_)}"
        )

    @property
    def sent(self) -> int:
        """Frames of all cameras."""
        return sum(p.sent for p in self._cameras.values())

    def end(self, seconds: float) -> None:
        """Show what was done in all, in place of the line."""
        all_ = self._cameras.values()
        reconnects = sum(p.reconnects for p in all_)
        self.note(
            f"{self.sent} frames, {sum(p.bytes_sent for p in all_) / 1e6:.1f} MB in {seconds:.1f} s"
            f" ({self.sent / max(seconds, 0.001):.1f} fps), {sum(p.dropped for p in all_)} dropped,"
            f" {reconnects} reconnect{'' if reconnects == 1 else 's'}"
        )

    def _write(self, text: str) -> None:
        if self.closed.is_set():
            return
        try:
            self.out.write(text)
            self.out.flush()
        except BrokenPipeError:
            self.closed.set()

    def _take(self, name: str, progress: Progress) -> None:
        before = self._cameras.get(name)
        self._cameras[name] = progress
        if progress.state is CameraState.STREAMING and (before is None or before.state is not CameraState.STREAMING):
            self._say_once("streaming", f"{name}: streaming", repeat=len(self._cameras) == 1)
        if (
            progress.detail
            and progress.state is not CameraState.ENDED
            and progress.detail != getattr(before, "detail", "")
        ):
            advice = f" {progress.hint}" if progress.hint else ""
            self._say_once(progress.detail, f"{name}: {progress.detail}.{advice}")

    def _say_once(self, what: str, text: str, *, repeat: bool = False) -> None:
        now = trio.current_time()
        if repeat or now - self._noted.get(what, float("-inf")) >= QUIET_S:
            self._noted[what] = now
            self.note(text)

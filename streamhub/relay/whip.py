"""The WHIP sink: hands units to a publisher process (``publish.py``) and looks after it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import attrs

from streamhub.relay.audio import AudioFormat
from streamhub.relay.plan import Plan
from streamhub.relay.queues import UnitQueue
from streamhub.relay.units import pack_unit
from streamhub.wire.relay_control import AttachWhip, SinkEnded, SinkRunning

_GOODBYE_S: Final = 3.0
_HINTS = {
    "unauthorized": "The server's token was not taken: LiveKit's key or secret differ, or its clock does.",
    "not_found": "LiveKit has no WHIP there: 1.9.1 or newer is needed.",
    "connection_refused": "LiveKit does not run, or listens elsewhere.",
}


@attrs.define(eq=False)
class WhipSink:
    """``tell`` gets SinkRunning and, exactly once, SinkEnded; both in threads of the sink."""

    order: AttachWhip
    plan: Plan
    audio: AudioFormat | None
    tell: Callable[[SinkRunning | SinkEnded], None]
    queue: UnitQueue = attrs.field(init=False)
    pid: int | None = None
    _process: subprocess.Popen[bytes] | None = None
    _wanted_end: SinkEnded | None = None

    def __attrs_post_init__(self) -> None:
        # Two seconds: a picture that old is of no use to a conversation.
        self.queue = UnitQueue(pictures=self.plan.video != "none", most_us=2_000_000, patient=True)

    def start(self) -> None:
        """Raises OSError when no process can be had."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "streamhub.relay.publish"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid
        threading.Thread(target=self._feed, name=f"whip {self.order.id}", daemon=True).start()
        threading.Thread(target=self._listen, name=f"whip {self.order.id} ears", daemon=True).start()

    def end(self, reason: SinkEnded | None = None) -> None:
        """Let it say goodbye, for so long at most; ``reason`` is what is told then. Does not wait."""
        self._wanted_end = self._wanted_end or reason or SinkEnded(id=self.order.id)
        self.queue.close(drain=False)
        if self._process is not None:
            timer = threading.Timer(_GOODBYE_S, self._process.kill)
            timer.daemon = True
            timer.start()

    def wait(self, within_s: float) -> None:
        """For its process. One that stays is let be: its input has ended, so it says goodbye and ends, alone too."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within_s)

    def _feed(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended: its last words say why
            self._process.stdin.write(self._header())
            self._process.stdin.flush()
            while units := self.queue.get_all():
                self._process.stdin.write(b"".join(map(pack_unit, units)))
                self._process.stdin.flush()
        with suppress(OSError):
            self._process.stdin.close()

    def _header(self) -> bytes:
        sound: dict[str, Any] = {"sound": self.plan.audio}
        if self.audio is not None:
            sound |= {
                "codec": self.audio.codec,
                "extradata": (self.audio.extradata or b"").hex(),
                "rate": self.audio.rate,
                "channels": self.audio.channels,
            }
        header = {"url": self.order.url, "bearer": self.order.bearer, "pictures": self.plan.video != "none", **sound}
        return json.dumps(header).encode() + b"\n"

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        ended: SinkEnded | None = None
        running = False
        for line in self._process.stdout:
            said = json.loads(line)
            if said["said"] == "running":
                running = True
                self.tell(
                    SinkRunning(id=self.order.id, video=self.plan.video, audio=self.plan.audio, why=self.plan.why)
                )
            else:
                ended = self._failed(said["code"], said["error"], running=running)
        self.queue.close(drain=False)
        code = self._process.wait()
        if ended is None:
            ended = self._failed("failed", f"the publisher ended unasked (exit code {code})", running=running)
        self.tell(self._wanted_end or ended)

    def _failed(self, code: str, error: str, *, running: bool) -> SinkEnded:
        # failures.py speaks of sources; here the other side is the media server.
        error = error.replace("the source", "the media server")
        if running:
            return SinkEnded(
                id=self.order.id,
                error=f"publishing stopped: {error}",
                code="connection_lost",
                hint="It is tried again.",
            )
        hint = _HINTS.get(code, "LiveKit's log says more; check its UDP port and node address.")
        return SinkEnded(id=self.order.id, error=f"publishing failed: {error}", code=f"whip_{code}", hint=hint)

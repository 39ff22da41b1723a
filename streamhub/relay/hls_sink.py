"""The thread around a ``Segmenter``."""

from __future__ import annotations

import threading
from collections.abc import Callable

import attrs
import av

from streamhub.relay.failures import failure_of
from streamhub.relay.hls import Segmenter
from streamhub.relay.plan import Plan
from streamhub.relay.queues import UnitQueue
from streamhub.wire.relay_control import AttachHls, SinkEnded


@attrs.define(eq=False)
class HlsSink:
    """``tell`` gets SinkEnded exactly once, in the sink's thread."""

    order: AttachHls
    plan: Plan
    segmenter: Segmenter
    tell: Callable[[SinkEnded], None]
    queue: UnitQueue = attrs.field(init=False)
    _wanted_end: SinkEnded | None = None
    _finish: bool = False
    _thread: threading.Thread = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.queue = UnitQueue(pictures=self.plan.video != "none", most_us=15_000_000, most_bytes=32 * 1024 * 1024)
        self._thread = threading.Thread(target=self._run, name=f"hls {self.order.id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self, reason: SinkEnded | None = None, *, finish: bool = False) -> None:
        """``finish``: what has come makes a last segment. Does not wait."""
        self._wanted_end = self._wanted_end or reason or SinkEnded(id=self.order.id)
        self._finish = finish
        self.queue.close(drain=finish)

    def wait(self, within_s: float) -> None:
        self._thread.join(within_s)

    def _run(self) -> None:
        try:
            while (unit := self.queue.get()) is not None:
                self.segmenter.add(unit)
            if self._finish:
                self.segmenter.finish()
        except Exception as exc:
            self.queue.close(drain=False)
            failure = failure_of(exc, opened=True)
            if isinstance(exc, OSError) and not isinstance(exc, av.error.FFmpegError) and failure.code == "io_error":
                hint = "Check the data folder's disk and permissions."
                self.tell(SinkEnded(id=self.order.id, error=str(exc.strerror), code="write_failed", hint=hint))
            else:
                text = failure.error.replace("the source", "writing the segment")
                self.tell(SinkEnded(id=self.order.id, error=text, code=failure.code, hint=failure.hint))
        else:
            self.tell(self._wanted_end or SinkEnded(id=self.order.id))

"""``python -m streamhub.relay``: one worker, ordered by ``wire/relay_control.py``; started by the server alone."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

import attrs

from streamhub.relay.control import Outbox, read_orders
from streamhub.relay.failures import Failure, failure_of
from streamhub.relay.hub import Hub
from streamhub.relay.logs import keep_libav_quiet
from streamhub.relay.peers import strangers
from streamhub.relay.pictures import JpegSource
from streamhub.relay.source import REDIRECTED, LibavSource
from streamhub.wire.relay_control import (
    AttachRoomAudio,
    BadRelayMessage,
    Detach,
    Ended,
    SinkEnded,
    SinkRunning,
    Start,
)

if TYPE_CHECKING:
    from streamhub.relay.room.talk import TalkBack

_NICE: Final = 5  # the server's own work, and LiveKit's, goes first
_STATS_S: Final = 2.0
_TIDY_S: Final = 1.5
_WATCH_S: Final = 0.2


class Source(Protocol):
    """Where media comes from. ``alive``: when the last sign of it came; ``delivered``: whether media has."""

    delivered: bool

    @property
    def alive(self) -> float: ...

    def run(self) -> None:
        """Until it ends. Raises what ``failure_of`` knows."""

    def leave(self, within_s: float) -> None:
        """Say good-bye to whoever gives it."""


def source_of(start: Start, hub: Hub) -> Source:
    """Of the order's kind."""
    if start.kind == "room":
        from streamhub.relay.room.source import RoomSource  # aiortc costs 30 MB, and nobody else needs it

        return RoomSource(start, hub.describe, hub.take, hub.wants)
    kind = JpegSource if start.kind == "jpeg" else LibavSource
    return kind(start, hub.describe, hub.take)


@attrs.define(eq=False)
class Worker:
    """One source and its sinks; ends the process when either is over."""

    start: Start
    outbox: Outbox
    hub: Hub = attrs.field(init=False)
    source: Source = attrs.field(init=False)
    talk: TalkBack | None = None
    _host: str = ""  # whom alone an RTSP source may be connected to
    _ending: threading.Lock = attrs.field(factory=threading.Lock)

    def __attrs_post_init__(self) -> None:
        self.hub = Hub(self.start, self.outbox.send)
        if self.start.kind == "rtsp":
            self._host = urlsplit(self.start.url or "").hostname or ""
        self.source = source_of(self.start, self.hub)

    def begin(self) -> None:
        threading.Thread(target=self._read, name="source", daemon=True).start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _read(self) -> None:
        try:
            self.source.run()
        except Exception as exc:
            self.end(failure_of(exc, opened=self.source.delivered))
        else:
            self.end(None)

    def _watch(self) -> None:
        """Stalls that libav does not see, and the statistics."""
        due = time.monotonic() + _STATS_S
        while True:
            time.sleep(_WATCH_S)
            now = time.monotonic()
            patience = self.start.stall_s + (0 if self.source.delivered else self.start.probe_s) + 1
            if now - self.source.alive > patience:
                self.end(failure_of(TimeoutError(), opened=self.source.delivered))
            if self._host and not self.source.delivered and strangers(self._host):
                self.end(REDIRECTED)
            if now >= due and self.source.delivered:
                due = now + _STATS_S
                self.outbox.send(self.hub.stats())

    def listen(self, order: AttachRoomAudio) -> None:
        """Into the room of LiveKit's that the source is published to; not twice."""
        from streamhub.relay.room.talk import TalkBack  # as above

        def over(failure: Failure) -> None:
            self.hub.mix(None)
            self.outbox.send(SinkEnded(id=order.id, error=failure.error, code=failure.code, hint=failure.hint))

        self.detach(Detach(id=self.talk.order.id) if self.talk is not None else Detach(id=order.id))
        self.talk = TalkBack(order, self.hub.audio, self.hub.mix_speaks, self.hub.mixed, over)
        self.hub.mix(self.talk)
        self.talk.start()
        self.outbox.send(SinkRunning(id=order.id, video="none", audio="encode"))

    def detach(self, order: Detach) -> None:
        """End a sink, or leave the room."""
        if self.talk is None or self.talk.order.id != order.id:
            self.hub.detach(order)
            return
        talk, self.talk = self.talk, None
        self.hub.mix(None)
        talk.end()
        self.outbox.send(SinkEnded(id=order.id))

    def end(self, failure: Failure | None, *, told: bool = False) -> None:
        """Tidy up, say why, and end the process. ``told``: the server wants nothing more of it."""
        if not self._ending.acquire(blocking=False):
            time.sleep(60)  # another thread is at it, and ends this one with the process
        self.hub.finish(complete=not told, within_s=_TIDY_S / 3 if told else _TIDY_S)
        if self.talk is not None:
            self.talk.end(within_s=_TIDY_S / 6)
        if told:
            self.source.leave(within_s=_TIDY_S / 3)
        if failure is not None:
            self.outbox.send(Ended(error=failure.error, code=failure.code, hint=failure.hint))
        else:
            self.outbox.send(Ended(code=None if told else "eof"))
        self.outbox.close(within_s=_TIDY_S / 3 if told else _TIDY_S)
        os._exit(0)


def main() -> None:
    """Never returns: threads inside libav are not waited for."""
    os.nice(_NICE)
    # No proxy but the one of the order, whatever the environment says.
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)
    outbox = Outbox(sys.stdout.fileno(), broken=lambda: os._exit(1))
    outbox.start()
    orders = read_orders(sys.stdin.fileno())
    try:
        first = next(orders, None)
        if not isinstance(first, Start):
            raise BadRelayMessage("the first order is Start")
        worker = Worker(first, outbox)
        keep_libav_quiet()

        def stop(_number: int, _frame: FrameType | None) -> None:
            worker.end(None, told=True)

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the server's to act on
        worker.begin()
        for order in orders:
            if isinstance(order, AttachRoomAudio):
                worker.listen(order)
            elif isinstance(order, Detach):
                worker.detach(order)
            elif not isinstance(order, Start):
                worker.hub.attach(order)
    except BadRelayMessage as exc:
        sys.stderr.write(f"relay: {exc}\n")
        os._exit(2)
    worker.end(None, told=True)


if __name__ == "__main__":
    main()

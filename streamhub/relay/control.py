"""The worker's ends of the pipes: orders in, events out."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from streamhub.wire.relay_control import Event, Order, Picture, format_event, parse_order

_LONGEST_LINE: Final = 1024 * 1024


def read_orders(fd: int) -> Iterator[Order]:
    """Until the end of the input. Raises BadRelayMessage."""
    rest = b""
    while data := os.read(fd, 65_536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield parse_order(line)
        if len(rest) > _LONGEST_LINE:
            return


@attrs.define(eq=False)
class Outbox:
    """Events to the server, written by a thread of its own: nobody who tells something waits for the pipe.

    Of pictures only the newest waits. ``broken`` is called when nobody reads any more.
    """

    fd: int
    broken: Callable[[], None]
    _events: deque[bytes] = attrs.field(factory=deque)
    _picture: Picture | None = None
    _closed: bool = False
    _changed: threading.Condition = attrs.field(factory=threading.Condition)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def send(self, event: Event) -> None:
        """Never waits."""
        with self._changed:
            if self._closed:
                return
            if isinstance(event, Picture):
                self._picture = event
            else:
                self._events.append(format_event(event))
            self._changed.notify()

    def close(self, within_s: float) -> None:
        """What waits is written, in that time."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(within_s)

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    while not self._events and self._picture is None and not self._closed:
                        self._changed.wait()
                    if self._events:
                        data = self._events.popleft()
                    elif self._picture is not None and not self._closed:
                        data, self._picture = format_event(self._picture), None
                    else:
                        return
                self._write(data)
        except OSError:
            self.broken()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]

"""Kept-alive connections between two requests: one task watches them all, and answers at once what needs no waiting.

A task that wakes up for each request, and the kernel asked anew to watch its socket, cost more than an answer that is
there already (decision 0016). Plain connections only: TLS has bytes of its own that no poll shows.
"""

from __future__ import annotations

import os
import select
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol, TypeAlias

import attrs
import trio

from streamhub.net.accepting import only_network
from streamhub.net.connection import Taken
from streamhub.observe.log import get_logger

# Answered in one go before others have their turn: a millisecond or so.
MOST_AT_ONCE = 16
READ_BYTES = 4096
SEND_BYTES = 512 * 1024
# A reader that takes nothing for so long is gone, and so is one that is not through after so long.
STALLED_S = 30.0
ANSWER_DEADLINE_S = 300.0
_DONTWAIT = socket.MSG_DONTWAIT
_MORE = socket.MSG_DONTWAIT | socket.MSG_MORE

log = get_logger("kept")


class OpenFile(Protocol):
    """A file that is open now."""

    @property
    def fd(self) -> int:
        """Its descriptor, good until the next await."""
        ...

    def opened(self) -> AbstractContextManager[int]:
        """A descriptor of its own for the time of the block."""
        ...


@attrs.define(eq=False)
class Sending:
    """An answer: ``head``, which may have a body with it, then the bytes of ``file`` from ``start`` to ``end``."""

    head: bytes
    file: OpenFile | None = None
    start: int = 0
    end: int = 0


class QuickDoor(ABC):
    """A door that has some answers without waiting for anything."""

    @abstractmethod
    async def __call__(self, taken: Taken) -> None:
        """Answer one request."""

    @abstractmethod
    def at_once(self, taken: Taken) -> Sending | None:
        """The whole answer; None, with nothing changed, if the door must be called for it.

        Asked for requests after which the connection goes on.
        """


Answer: TypeAlias = Callable[[bytes], Sending | None]


@attrs.define(eq=False)
class _Rest:
    """What the kernel did not take at once. ``files`` closes ``fd``."""

    head: memoryview
    fd: int
    at: int
    end: int
    since: float
    moved_at: float
    files: ExitStack


@attrs.define(eq=False)
class _Waiting:
    """A connection that is watched. ``data`` is set once its own task has to see to it."""

    raw: socket.socket
    answer: Answer
    used_at: float
    rest: _Rest | None = None
    data: bytes | None = None
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    awake: trio.Event = attrs.field(factory=trio.Event)


@attrs.define(eq=False)
class Kept:
    """Watches connections while ``run`` runs. ``idle_s``: without a request for so long they end."""

    idle_s: float
    _poll: select.epoll | None = None
    _waiting: dict[int, _Waiting] = attrs.field(factory=dict)
    _stopping: bool = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch, until cancelled."""
        with select.epoll() as poll:
            self._poll = poll
            task_status.started()
            try:
                while True:
                    await trio.lowlevel.wait_readable(poll.fileno())
                    now = trio.current_time()
                    for fd, _ in poll.poll(0, MOST_AT_ONCE):
                        if (waiting := self._waiting.get(fd)) is not None:
                            self._see_to(waiting, now)
            finally:
                self._poll = None

    def stop(self) -> None:
        """End those that are idle, and the others with their answer."""
        self._stopping = True
        for waiting in list(self._waiting.values()):
            if waiting.rest is None:
                self._wake(waiting, b"")

    def cut(self) -> None:
        """End them all, also those in the middle of an answer."""
        for waiting in list(self._waiting.values()):
            self._wake(waiting, b"")

    async def more(self, stream: trio.SocketStream, answer: Answer) -> bytes:
        """What the client says next that ``answer`` has no answer to at once.

        b"" if it leaves, stalls, is silent too long, or we stop: the connection has no next request then.
        """
        if self._stopping or self._poll is None:
            return b""
        sock = stream.socket
        # The same socket with its flags of send(2), which Trio's has behind awaits only.
        raw = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.fileno())
        waiting = _Waiting(raw, answer, trio.current_time())
        fd = raw.fileno()
        self._poll.register(fd, select.EPOLLIN)
        self._waiting[fd] = waiting
        try:
            while waiting.data is None and (until := self._until(waiting)) > trio.current_time():
                with trio.CancelScope(deadline=until) as waiting.scope:
                    await waiting.awake.wait()
            return waiting.data or b""
        finally:
            self._forget(fd)
            if waiting.rest is not None:
                waiting.rest.files.close()
            raw.detach()

    def _until(self, waiting: _Waiting) -> float:
        if waiting.rest is None:
            return waiting.used_at + self.idle_s
        return min(waiting.rest.moved_at + STALLED_S, waiting.rest.since + ANSWER_DEADLINE_S)

    def _forget(self, fd: int) -> None:
        if self._waiting.pop(fd, None) is not None and self._poll is not None:
            self._poll.unregister(fd)

    def _wake(self, waiting: _Waiting, data: bytes) -> None:
        self._forget(waiting.raw.fileno())
        waiting.data = data
        waiting.awake.set()

    def _see_to(self, waiting: _Waiting, now: float) -> None:
        """Something can be read from the connection, or written to it."""
        try:
            if waiting.rest is not None:
                self._go_on(waiting, waiting.rest, now)
                return
            data = waiting.raw.recv(READ_BYTES, _DONTWAIT)
            sending = waiting.answer(data) if data else None
            if sending is None:
                self._wake(waiting, data)
                return
            waiting.used_at = now
            self._begin(waiting, sending, now)
        except BlockingIOError:
            pass  # what had come was not for us: a checksum was wrong
        except Exception as exc:  # the request boundary: one connection never takes the others down
            if not only_network(exc):
                log.error("request failed", exc_info=exc)
            self._wake(waiting, b"")

    def _begin(self, waiting: _Waiting, sending: Sending, now: float) -> None:
        head, file, at, end = sending.head, sending.file, sending.start, sending.end
        sent = 0
        try:
            sent = waiting.raw.send(head, _DONTWAIT if file is None else _MORE)
            if sent == len(head):
                if file is None:
                    return
                while at < end:
                    at += _send_file(waiting.raw, file.fd, at, end)
                return
        except BlockingIOError:
            pass
        files = ExitStack()
        fd = -1 if file is None else files.enter_context(file.opened())
        waiting.rest = _Rest(memoryview(head)[sent:], fd, at, end, now, now, files)
        self._watch(waiting, select.EPOLLOUT)

    def _go_on(self, waiting: _Waiting, rest: _Rest, now: float) -> None:
        rest.moved_at = now
        while rest.head:
            rest.head = rest.head[waiting.raw.send(rest.head, _DONTWAIT if rest.fd < 0 else _MORE) :]
        while rest.at < rest.end:
            rest.at += _send_file(waiting.raw, rest.fd, rest.at, rest.end)
        rest.files.close()
        waiting.rest, waiting.used_at = None, now
        waiting.scope.deadline = self._until(waiting)
        if self._stopping:
            self._wake(waiting, b"")
        else:
            self._watch(waiting, select.EPOLLIN)

    def _watch(self, waiting: _Waiting, events: int) -> None:
        assert self._poll is not None
        self._poll.modify(waiting.raw.fileno(), events)


def _send_file(raw: socket.socket, fd: int, at: int, end: int) -> int:
    """How much of the file was sent. Raises BlockingIOError, or what the connection does."""
    sent = os.sendfile(raw.fileno(), fd, at, min(SEND_BYTES, end - at))
    if not sent:
        raise trio.BrokenResourceError("the file was cut")
    return sent

"""A relay worker as a script: keeps what it was told, says what a test wants it to."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import trio

from streamhub.wire.relay_control import (
    Detach,
    Event,
    EventReader,
    Opened,
    Order,
    Picture,
    SinkEnded,
    SinkRunning,
    Start,
    Track,
    format_order,
)

VIDEO = Track(kind="video", codec="h264", width=640, height=360, fps=25.0)
AUDIO = Track(kind="audio", codec="aac", rate=48000, channels=2)


@attrs.define(eq=False)
class ScriptedWorker:
    """One worker. Sinks run as soon as they are attached, and end when they are detached."""

    media_fd: int = 7
    orders: list[Order] = attrs.field(factory=list)
    media: bytes = b""
    refuses: set[str] = attrs.field(factory=set)
    # Set while it takes no media.
    busy: trio.Event | None = None
    over: trio.Event = attrs.field(factory=trio.Event)
    _say: trio.MemorySendChannel[Event] = attrs.field(init=False)
    _hear: trio.MemoryReceiveChannel[Event] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._say, self._hear = trio.open_memory_channel[Event](1000)

    async def order(self, order: Order) -> None:
        await trio.lowlevel.checkpoint()
        self.orders.append(order)
        if isinstance(order, Detach):
            self.say(SinkEnded(id=order.id))
        elif not isinstance(order, Start):
            kind = json.loads(format_order(order))["op"]
            if kind in self.refuses:
                self.say(SinkEnded(id=order.id, error="no", code="refused"))
            else:
                self.say(SinkRunning(id=order.id, video="copy", audio="encode"))

    async def send_media(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self.busy is not None:
            await self.busy.wait()
        self.media += data

    @property
    def pictures(self) -> list[bytes]:
        """The JPEGs of its media."""
        return [event.jpeg for event in EventReader().receive(self.media) if isinstance(event, Picture)]

    async def events(self) -> AsyncGenerator[Event, None]:
        async for event in self._hear:
            yield event

    def say(self, event: Event) -> None:
        with suppress(trio.ClosedResourceError):  # it is dead
            self._say.send_nowait(event)

    def die(self) -> None:
        self._say.close()

    def attached(self, kind: type[Any]) -> list[str]:
        """The ids of the sinks of that kind that are attached now."""
        gone = {o.id for o in self.orders if isinstance(o, Detach)}
        return [o.id for o in self.orders if isinstance(o, kind) and o.id not in gone]


@attrs.define(eq=False)
class Workers:
    """Starts scripted workers; ``opens``: each finds a video and an audio track at once."""

    opens: bool = True
    made: list[ScriptedWorker] = attrs.field(factory=list)
    _another: trio.Event = attrs.field(factory=trio.Event)

    async def another(self) -> ScriptedWorker:
        """The next one, once it is started."""
        await self._another.wait()
        return self.made[-1]

    @asynccontextmanager
    async def __call__(self, *, media: bool) -> AsyncIterator[ScriptedWorker]:
        worker = ScriptedWorker(7 if media else -1)
        self.made.append(worker)
        self._another.set()
        self._another = trio.Event()
        if self.opens:
            worker.say(Opened(tracks=(VIDEO, AUDIO)))
        try:
            yield worker
        finally:
            worker.over.set()

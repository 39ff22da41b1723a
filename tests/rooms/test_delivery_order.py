"""Whatever viewers do, each sees whole pictures in rising order: fast, slow, paced and TLS-like ones together."""

from __future__ import annotations

import random
import re

import attrs
import pytest
import trio
import trio.testing

from streamhub.net.connection import DoorWire
from streamhub.rooms.latest import Latest
from streamhub.rooms.pump import Pump
from streamhub.rooms.viewer import Viewer
from streamhub.wire.multipart import format_part
from tests.rooms.fakes import NoFdWire, Talk, stream_pair

PART = re.compile(rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\n\r\n")
PICTURES = 150


@attrs.define(eq=False)
class Client:
    """Reads at its own speed, parses every part as it comes."""

    stream: trio.SocketStream
    most_bytes: int
    pause_s: float
    seen: list[int] = attrs.field(factory=list)
    _data: bytes = b""

    async def read(self) -> None:
        while more := await self.stream.receive_some(self.most_bytes):
            self._data += more
            self._parse()
            await trio.sleep(self.pause_s)

    def _parse(self) -> None:
        while head := PART.match(self._data):
            size = int(head[1])
            end = head.end() + size
            if len(self._data) < end + 11:
                return
            picture, tail = self._data[head.end() : end], self._data[end : end + 11]
            assert tail == b"\r\n--frame\r\n"
            number = int(picture[2:8])
            assert picture == picture_of(number, size)
            self.seen.append(number)
            self._data = self._data[end + 11 :]
        assert len(self._data) < 100 or self._data.startswith(b"Content-Type")


def picture_of(number: int, size: int) -> bytes:
    return (b"\xff\xd8%06d" % number).ljust(size, b"%d" % (number % 10))


@pytest.mark.parametrize("seed", range(4))
async def test_viewers_when_they_read_at_any_speed_then_each_sees_whole_pictures_in_rising_order(seed: int) -> None:
    chance = random.Random(seed)
    latest = Latest()
    pump = Pump(latest, format_part)
    clients: list[Client] = []
    viewers: list[Viewer] = []
    async with trio.open_nursery() as nursery:
        for place in range(16):
            ours, theirs = stream_pair(chance.choice([0, 4096, 20_000]))
            nursery.start_soon(close_at_the_end, ours, theirs)
            wire = NoFdWire(ours) if place % 4 == 3 else DoorWire(ours)
            viewer = Viewer(wire, latest, pump, Talk(), chance.choice([0.0, 0.0, 0.0, 0.1]))
            slow = chance.random() < 0.4
            client = Client(theirs, 3000 if slow else 1 << 20, chance.choice([0.0, 0.01, 0.05]) if slow else 0.0)
            clients.append(client)
            viewers.append(viewer)
            nursery.start_soon(viewer.run)
            nursery.start_soon(client.read)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(PICTURES):
            latest.publish(picture_of(number, chance.choice([500, 9_000, 60_000])), live=True)
            if number % 10 == 5:
                chance.choice(viewers).poke()
            await pump.push()
            if chance.random() < 0.8:
                await trio.sleep(chance.choice([0.0, 0.02, 0.07]))
        await trio.sleep(60)  # the slowest catches up
        nursery.cancel_scope.cancel()
    for viewer, client in zip(viewers, clients, strict=True):
        assert client.seen == sorted(set(client.seen))
        assert client.seen[-1] == PICTURES - 1
        assert viewer.sent == len(client.seen)
    assert any(len(c.seen) < PICTURES for c in clients)


async def close_at_the_end(*streams: trio.SocketStream) -> None:
    try:
        await trio.sleep_forever()
    finally:
        for stream in streams:
            stream.socket.close()

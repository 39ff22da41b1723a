"""Three hundred connections of nonsense at once; afterwards the server is as before."""

from __future__ import annotations

import random

import trio

from tests.net.site import open_site
from tests.support.peer import connect
from tests.support.waiting import eventually

SEED = 20261123
CONNECTIONS = 300
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
GOOD = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /live/live/cam1/mjpeg?fps=5 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /live/live/cam1/frame.jpg HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
    b"GET /live/ws?app=live&room=cam1 HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n\x89\x80\0\0\0\0\x81\x81\0\0\0\0a",
    b"GET /ingest/ws?app=live&room=cam1&key=wsk_cam1_1 HTTP/1.1\r\nHost: x\r\n"
    + UPGRADE
    + b"\r\n\x82\x84\0\0\0\0\xff\xd8\0\0",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


def nonsense(chance: random.Random) -> bytes:
    """Random bytes, or something good with a few bytes changed, cut, doubled or joined."""
    if chance.random() < 0.2:
        return chance.randbytes(chance.randrange(1, 4000))
    data = bytearray(b"".join(chance.choices(GOOD, k=chance.randrange(1, 4))))
    for _ in range(chance.randrange(0, 6)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 20)]
            case 2:
                data[at:at] = data[at : at + chance.randrange(1, 50)]
            case _:
                data[at:at] = chance.choice([b"\r\n", b"\0", b"\n", b":", b" ", b"\xff" * 40, b"%00", b"\r\n\r\n"])
        if not data:
            return b"\r\n"
    return bytes(data)


async def test_front_when_hundreds_of_clients_talk_nonsense_then_it_serves_the_next_as_ever() -> None:
    chance = random.Random(SEED)
    limit = trio.CapacityLimiter(30)

    async def torment(port: int, data: bytes, manner: float, pieces: int) -> None:
        async with limit, connect(port) as client:
            try:
                for n in range(pieces):
                    await client.send(data[n * len(data) // pieces : (n + 1) * len(data) // pieces])
                if manner < 0.3:
                    await client.stream.send_eof()  # type: ignore[attr-defined]
                with trio.move_on_after(0.05):
                    while await client.more():
                        pass
            except trio.BrokenResourceError:
                pass

    async with open_site() as site:
        tasks = trio.lowlevel.current_statistics().tasks_living
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for _ in range(CONNECTIONS):
                    nursery.start_soon(torment, site.port, nonsense(chance), chance.random(), chance.randrange(1, 4))
        async with connect(site.port) as client:
            assert (await client.get("/a")).body == b"GET /a 0"
            assert (await client.get("/live/live/cam1/frame.jpg")).status == 503
            assert (await client.watch("/live/live/cam1/mjpeg")).status == 200
        await eventually(lambda: site.front.connections == 0 and site.hub.statuses() == [])
        await eventually(lambda: trio.lowlevel.current_statistics().tasks_living == tasks)
        assert site.hub.totals.room_errors == 0

"""Hundreds of cameras and viewers come and leave, again and again: afterwards the process is as it was."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
import trio

from tests.support.media import Media, jpeg, serve_media
from tests.support.peer import HttpPeer, connect
from tests.support.waiting import eventually

ROUNDS = 3
AT_ONCE = 200  # connecting at the same time
SHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PICTURE = jpeg(7, (64, 48))


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_sockets() -> int:
    return sum("socket:" in str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink())


def masked(payload: bytes, opcode: int) -> bytes:
    """A client's frame; with a mask of zeros the payload stays as it is (RFC 6455 §5.3)."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0xFE]) + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


async def camera(media: Media, number: int, seen: trio.Event, limit: trio.CapacityLimiter) -> None:
    async with connect(media.port) as peer:
        async with limit:
            path = f"/ingest/ws?app=live&room=cam{number}&key=wsk_cam{number}_{number}"
            await peer.ask(path, headers=SHAKE)
            await peer.until(b'"ready"')
        await peer.send(masked(PICTURE, 2))
        await seen.wait()
        if number % 2:
            await peer.send(masked((1000).to_bytes(2, "big"), 8))
            while await peer.more():
                pass


async def viewer(media: Media, number: int, seen: trio.Event, limit: trio.CapacityLimiter) -> None:
    async with connect(media.port) as peer:
        async with limit:
            if number % 4 == 0:
                await peer.ask(f"/live/ws?app=live&room=cam{number}", headers=SHAKE)
            else:
                await peer.ask(f"/live/live/cam{number}/mjpeg")
        await peer.until(PICTURE)
        seen.set()
        await leave(peer, number)


async def leave(peer: HttpPeer, number: int) -> None:
    if number % 3 == 0:
        await peer.stream.send_eof()  # type: ignore[attr-defined]
        while await peer.more():
            peer.data = b""


async def a_round(media: Media, rooms: int) -> None:
    limit = trio.CapacityLimiter(AT_ONCE)
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for number in range(rooms):
                seen = trio.Event()
                nursery.start_soon(camera, media, number, seen, limit)
                nursery.start_soon(viewer, media, number, seen, limit)
    await eventually(lambda: not media.hub.statuses() and media.front.connections == 0)


@pytest.mark.parametrize("rooms", [100, pytest.param(500, marks=pytest.mark.long)])
async def test_server_when_crowds_come_and_leave_then_no_memory_task_socket_or_room_is_left(rooms: int) -> None:
    async with serve_media() as media:
        tasks, sockets = trio.lowlevel.current_statistics().tasks_living, open_sockets()
        sizes: list[int] = []
        for n in range(ROUNDS):
            await a_round(media, rooms)
            media.events.clear()
            media.results.clear()
            media.authority.asked.clear()
            await eventually(lambda: trio.lowlevel.current_statistics().tasks_living == tasks)
            assert open_sockets() == sockets, n
            sizes.append(resident_bytes())
            await trio.sleep(61)  # a key may connect so many times a minute
        assert media.hub.totals.frames == rooms * ROUNDS
        assert media.hub.totals.room_errors == 0
        grown = sizes[-1] - sizes[0]
        assert grown <= max(8_000_000, sizes[0] // 20), sizes

"""One viewer that sips and one that stalls, among twenty that read: counted in pictures, not in seconds."""

from __future__ import annotations

import array
import fcntl
import socket
import termios
from itertools import pairwise

import pytest
import trio
import trio.testing

from streamhub.net.connection import DoorWire
from streamhub.rooms.viewer import FRAME_DEADLINE_S
from tests.playback.scene import scene, source
from tests.support.media import Media, room_key
from tests.support.peer import HttpPeer, connect

SIZE = 25_000
NORMAL = 20
PICTURES = 200
TARGETS = ["/live/live/cam1/mjpeg", "/live/live/cam1/mjpeg?fps=240"]


def picture(number: int) -> bytes:
    return (b"\xff\xd8%06d" % number).ljust(SIZE, b"%d" % (number % 10))


def number_of(jpeg: bytes) -> int:
    number = int(jpeg[2:8])
    assert jpeg == picture(number)
    return number


async def small_connection(port: int) -> trio.SocketStream:
    """A client whose kernel takes little for it."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    await sock.connect(("127.0.0.1", port))
    return trio.SocketStream(sock)


async def test_slow_viewers_when_they_sip_or_stall_then_nobody_else_misses_a_picture() -> None:
    seen: list[list[int]] = [[] for _ in range(NORMAL)]

    async with scene() as media, source(media) as camera, trio.open_nursery() as nursery:

        async def watch(place: int, *, task_status: trio.TaskStatus[None]) -> None:
            async with connect(media.port) as viewer:
                await viewer.watch("/live/live/cam1/mjpeg")
                seen[place].append(number_of(await viewer.part()))
                task_status.started()
                while True:
                    seen[place].append(number_of(await viewer.part()))

        async def sip(stream: trio.SocketStream) -> None:
            while await stream.receive_some(1):  # noqa: ASYNC110
                await trio.sleep(1)

        await camera.show(picture(0))
        for place in range(NORMAL):
            await nursery.start(watch, place)
        async with await small_connection(media.port) as sipping, await small_connection(media.port) as stalled:
            for stream in (sipping, stalled):
                await stream.send_all(b"GET /live/live/cam1/mjpeg HTTP/1.1\r\nHost: x\r\n\r\n")
            nursery.start_soon(sip, sipping)
            await wait_for_viewers(media, NORMAL + 2)
            began = trio.current_time()
            for number in range(1, PICTURES):
                await camera.show(picture(number))
                # All of the twenty have it before there is another: none was skipped, none waited for the two.
                await trio.testing.wait_all_tasks_blocked()
                assert {s[-1] for s in seen} == {number}
            assert trio.current_time() - began < FRAME_DEADLINE_S  # the two were there all the time
            assert len(camera.room.viewers) == NORMAL + 2
            for number in range(PICTURES, PICTURES + 24):
                await trio.sleep(0.5)
                await camera.show(picture(number))
            assert len(camera.room.viewers) == NORMAL  # closed as stalled
        assert seen == [list(range(PICTURES + 24))] * NORMAL
        nursery.cancel_scope.cancel()


async def wait_for_viewers(media: Media, count: int) -> None:
    with trio.fail_after(5):
        while (status := media.hub.status(room_key())) is None or status.viewers["mjpeg"] != count:  # noqa: ASYNC110
            await trio.sleep(0.01)


def waiting(sock: socket.socket | trio.socket.SocketType, request: int) -> int:
    """Bytes in a socket's queue: TIOCOUTQ not yet acknowledged, FIONREAD not yet read."""
    found = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), request, found)
    return found[0]


@pytest.mark.parametrize("target", TARGETS)
async def test_slow_viewer_when_it_reads_a_fifth_then_it_is_behind_by_little_more_than_the_kernel_holds(
    target: str,
) -> None:
    per_turn = SIZE // 5
    behind: list[float] = []  # turns, beyond what was in the kernel when the picture was made
    held: dict[int, int] = {0: 0}
    seen: list[int] = []
    async with (
        scene() as media,
        source(media) as camera,
        await trio.open_tcp_stream("127.0.0.1", media.port) as stream,
    ):
        await camera.show(picture(0))
        client = HttpPeer(stream)
        await client.watch(target)
        await wait_for_viewers(media, 1)
        (viewer,) = camera.room.viewers
        assert isinstance(viewer.wire, DoorWire)
        ours = viewer.wire._socket
        assert ours is not None
        for number in range(1, 600):
            held[number] = waiting(ours, termios.TIOCOUTQ) + waiting(stream.socket, termios.FIONREAD) + len(client.data)
            await camera.show(picture(number))
            await trio.sleep(1 / 15)
            client.data += await stream.receive_some(per_turn)
            while (at := client.data.find(b"\r\n--frame\r\n")) >= 0:
                jpeg = client.data[:at].partition(b"\r\n\r\n")[2]
                client.data = client.data[at + 11 :]
                seen.append(number_of(jpeg))
                behind.append((number - seen[-1]) - held[seen[-1]] / per_turn)
    assert seen == sorted(set(seen))
    assert len(seen) > 90
    # Beyond what was before it in the kernel: at most one picture whose rest we still held, the five turns its own
    # bytes take, and a turn at each end.
    assert max(behind) <= 5 + 5 + 2
    skipped = [b - a for a, b in pairwise(seen)]
    assert sum(skipped[20:]) / len(skipped[20:]) == pytest.approx(5, rel=0.2)

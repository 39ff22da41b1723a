from __future__ import annotations

from socket import SO_RCVLOWAT, SOL_SOCKET

import pytest
import trio
import trio.testing

from streamhub.model.urls import Base
from streamhub.net.connection import DoorWire, Guarded, Taken
from streamhub.net.peers import Header, Peer
from streamhub.net.shared_reader import SharedReader
from tests.rooms.fakes import stream_pair


def taken(stream: trio.SocketStream, headers: list[Header], version: bytes = b"1.1") -> Taken:
    peer = Peer("127.0.0.1", Base("http", "x"))
    return Taken("GET", "/", {}, headers, b"/", stream, b"", peer, version)


async def test_guarded_when_bytes_were_read_before_then_they_come_first() -> None:
    ours, theirs = stream_pair()
    async with ours, theirs:
        guarded = Guarded(ours, b"before", 1)
        await theirs.send_all(b"after")
        assert [await guarded.receive_some(), await guarded.receive_some(100)] == [b"before", b"after"]


async def test_guarded_when_the_client_does_not_take_it_then_the_write_ends_even_if_shielded(
    clock: trio.testing.MockClock,
) -> None:
    ours, theirs = stream_pair(4096)
    async with ours, theirs:
        guarded = Guarded(ours, b"", 30)
        with trio.CancelScope(shield=True), pytest.raises(trio.BrokenResourceError):
            await guarded.send_all(bytes(1_000_000))
        assert trio.current_time() == pytest.approx(30)
        assert ours.socket.fileno() == -1


async def test_guarded_when_it_is_closed_by_its_halves_then_the_client_sees_the_end() -> None:
    ours, theirs = stream_pair()
    async with ours, theirs:
        guarded = Guarded(ours, b"", 1)
        await guarded.wait_send_all_might_not_block()
        await guarded.send_all(b"bye")
        await guarded.send_eof()
        assert [await theirs.receive_some(), await theirs.receive_some()] == [b"bye", b""]
        await guarded.aclose()
        assert ours.socket.fileno() == -1


@pytest.mark.parametrize(
    ("headers", "version", "keeps"),
    [
        ([], b"1.1", True),
        ([], b"1.0", False),
        ([(b"connection", b"keep-alive")], b"1.0", False),
        ([(b"connection", b"keep-alive")], b"1.1", True),
        ([(b"connection", b"Close")], b"1.1", False),
        ([(b"connection", b"te ,close")], b"1.1", False),
        ([(b"connection", b"te"), (b"connection", b"close")], b"1.1", False),
        ([(b"connection", b"closed-door")], b"1.1", True),
        ([(b"content-length", b"0")], b"1.1", True),
        ([(b"content-length", b"1")], b"1.1", False),
        ([(b"transfer-encoding", b"chunked")], b"1.1", False),
    ],
)
async def test_keeps_alive_when_a_request_is_so_then_another_may_follow_or_not(
    headers: list[Header], version: bytes, keeps: bool
) -> None:
    ours, theirs = stream_pair()
    async with ours, theirs:
        assert taken(ours, headers, version).keeps_alive is keeps


async def test_header_when_it_comes_twice_then_the_first_counts() -> None:
    ours, theirs = stream_pair()
    async with ours, theirs:
        request = taken(ours, [(b"range", b"a\xff"), (b"range", b"b")])
        assert request.header(b"range") == "a\xff"
        assert request.header(b"accept") is None


async def test_send_last_when_the_client_is_stalled_or_gone_then_it_gives_up_without_an_error(
    clock: trio.testing.MockClock,
) -> None:
    ours, theirs = stream_pair(4096)
    async with ours, theirs:
        wire = DoorWire(ours)
        with trio.CancelScope() as scope:
            scope.cancel()
            await wire.send_last(bytes(1_000_000), 2)  # shielded: words of farewell go out in a cancelled task
            assert trio.current_time() == 2
    await wire.send_last(b"closed", 2)
    await wire.linger(2, 100)
    assert trio.current_time() == 2


async def test_linger_when_the_client_still_talks_then_it_is_read_up_to_a_bound_of_time_and_bytes(
    clock: trio.testing.MockClock,
) -> None:
    for chunk, pause_s, most_s in ((10_000, 0.1, 1), (10, 0.1, 3)):
        ours, theirs = stream_pair()
        async with ours, theirs, trio.open_nursery() as nursery:

            async def talk(to: trio.SocketStream, size: int, gap_s: float) -> None:
                assert await to.receive_some() == b""  # it is told that we are done
                while True:
                    await to.send_all(bytes(size))
                    await trio.sleep(gap_s)

            nursery.start_soon(talk, theirs, chunk, pause_s)
            began = trio.current_time()
            await DoorWire(ours).linger(3, 50_000)
            assert trio.current_time() - began <= most_s + 0.01
            nursery.cancel_scope.cancel()


async def test_linger_when_the_client_closes_then_it_returns_at_once(clock: trio.testing.MockClock) -> None:
    ours, theirs = stream_pair()
    async with ours:
        await theirs.aclose()
        await DoorWire(ours).linger(3, 50_000)
        assert trio.current_time() == 0


async def test_feed_when_so_many_bytes_are_expected_then_it_is_called_for_no_fewer_but_for_the_end() -> None:
    got: list[bytes] = []
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    theirs = await trio.open_tcp_stream(*listener.socket.getsockname())
    ours, reader = await listener.accept(), SharedReader()
    wire = DoorWire(ours)

    def take(data: bytes | memoryview) -> bool:
        got.append(bytes(data))
        return len(data) > 0

    async with listener, ours, theirs:
        with trio.fail_after(10), reader.opened():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wire.feed, reader, take)
                for piece in (b"a", bytes(400), bytes(400), bytes(200)):
                    wire.expect(1000 if len(piece) > 1 else 0)
                    await theirs.send_all(piece)
                    await trio.testing.wait_all_tasks_blocked(0.01)
                assert got == [b"a", bytes(1000)]
                await theirs.send_all(b"cut")
                await theirs.send_eof()
        assert (got[2:], wire.expected) == ([b"cut", b""], 0)
        assert ours.socket.getsockopt(SOL_SOCKET, SO_RCVLOWAT) == 1

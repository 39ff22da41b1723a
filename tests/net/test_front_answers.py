"""How the answers of the application leave: in one piece, slowly, or not at all."""

from __future__ import annotations

import trio
import trio.testing
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import wrap_app

from streamhub.model.urls import Base
from streamhub.net.connection import Guarded
from streamhub.net.front import _Server
from streamhub.net.hypercorn import KEEP_ALIVE_S, hypercorn_config
from streamhub.net.peers import Peers, PeerScope
from tests.net.site import web
from tests.rooms.fakes import stream_pair


def serve(stream: Guarded) -> _Server:
    """The handler of one connection, with the site's application."""
    app = wrap_app(PeerScope(web, Peers([], Base("http", "own.test"))), 0, "asgi")
    server = _Server(app, hypercorn_config(), WorkerContext(None), {}, stream)
    server.route = lambda *_: None
    return server


class Torn(Guarded):
    """A connection that breaks while its answer is being sent; ``go_on`` lets the sending end."""

    def __init__(self, stream: trio.SocketStream, request: bytes) -> None:
        super().__init__(stream, request, 30)
        self.sending, self.go_on = trio.Event(), trio.Event()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._prefix:
            return await super().receive_some(max_bytes)
        await self.sending.wait()
        raise trio.BrokenResourceError

    def send_at_once(self, data: bytes) -> int:
        return 0  # its peer reads slowly

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.sending.set()
        await self.go_on.wait()


async def test_front_when_the_client_leaves_within_its_answer_then_nobody_waits_for_its_next_request() -> None:
    ours, theirs = stream_pair()
    async with ours, theirs:
        torn = Torn(ours, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        with trio.fail_after(KEEP_ALIVE_S / 4):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve(torn).run)
                await trio.testing.wait_all_tasks_blocked()
                torn.go_on.set()


class Counted(Guarded):
    """A connection that notes each piece that is sent."""

    def __init__(self, stream: trio.SocketStream, request: bytes) -> None:
        super().__init__(stream, request, 30)
        self.pieces: list[bytes] = []

    def send_at_once(self, data: bytes) -> int:
        if data:
            self.pieces.append(data)
        return super().send_at_once(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))
        await super().send_all(data)


async def pieces_of(path: str) -> list[bytes]:
    """What the answer was sent in."""
    ours, theirs = stream_pair()
    async with ours, theirs:
        wrapped = Counted(ours, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve(wrapped).run)
                await trio.testing.wait_all_tasks_blocked()
                await theirs.aclose()
        return wrapped.pieces


async def test_front_when_an_answer_tells_its_length_then_head_and_body_are_sent_together() -> None:
    (piece,) = await pieces_of("/a")
    assert piece.startswith(b"HTTP/1.1 200")
    assert piece.endswith(b"\r\n\r\nGET /a 0")


async def test_front_when_a_body_fails_then_its_head_is_sent_all_the_same() -> None:
    assert [piece[:12] for piece in await pieces_of("/cut")] == [b"HTTP/1.1 200"]

from __future__ import annotations

import errno
import resource
import socket
from pathlib import Path

import pytest
import trio
import trio.testing

from streamhub.net.accepting import ACCEPT_AGAIN_S
from streamhub.net.again import MOST_REMEMBERED
from streamhub.net.hypercorn import KEEP_ALIVE_S, MOST_HEADER_BYTES
from streamhub.net.listeners import open_tcp, open_unix
from tests.net.site import BIG, open_site
from tests.support.peer import HttpPeer, connect
from tests.support.waiting import eventually

MJPEG = "/live/live/cam1/mjpeg"
SHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def test_front_when_the_second_request_is_a_stream_then_the_connection_is_taken_over() -> None:
    async with open_site() as site, connect(site.port) as client:
        assert (await client.get("/a")).body == b"GET /a 0"
        assert site.front.connections == 1
        assert (await client.watch(MJPEG)).status == 200
        assert (await client.part()).startswith(b"\xff\xd8")
        assert site.front.connections == 0


async def test_front_when_a_connection_asks_again_and_for_others_then_each_gets_its_own_answer() -> None:
    async with open_site() as site, connect(site.port) as client:
        for _ in range(2):
            for n in range(MOST_REMEMBERED + 2):
                reply = await client.get(f"/live/live/cam{n}/frame.jpg")
                assert (reply.status, reply.headers["x-stream-state"]) == (503, "offline")
                assert (await client.get("/live/live/cam1/nothing")).body == b"GET /live/live/cam1/nothing 0"
            assert (await client.get("/live/live/cam1/frame.jpg?max_age=x")).status == 400
            assert (await client.get("http://front.test/live/live/cam1/frame.jpg")).status == 503
        await client.ask("/live/live/cam1/frame.jpg", "HEAD")
        assert (await client.reply(bodyless=True)).status == 503
        assert (await client.watch(MJPEG)).status == 200


async def test_front_when_garbage_follows_a_snapshot_then_it_is_refused_as_ever() -> None:
    async with open_site() as site, connect(site.port) as client:
        assert (await client.get("/live/live/cam1/frame.jpg")).status == 503
        await client.send(b"GET /live/live/cam1/frame.jpg HTTP/1.1\r\nHost x\r\n\r\n")
        assert (await client.reply()).status == 400
        assert await client.ended()


async def test_stop_when_a_connection_that_had_a_snapshot_is_idle_then_it_is_closed_at_once() -> None:
    async with open_site() as site, connect(site.port) as client:
        assert (await client.get("/live/live/cam1/frame.jpg")).status == 503
        with trio.fail_after(20):
            await site.front.stop(60)
            assert await client.ended()


async def test_front_when_the_second_request_is_an_upgrade_then_it_is_taken_over() -> None:
    async with open_site() as site, connect(site.port) as client:
        await client.ask("/a", "POST", {"Content-Length": "5"}, b"hello")
        assert (await client.reply()).body == b"POST /a 5"
        await client.ask("/live/ws?app=live&room=cam1", headers=SHAKE)
        assert (await client.reply(bodyless=True)).status == 101


async def test_front_when_an_upgrade_brings_bytes_along_then_the_server_goes_on() -> None:
    async with open_site() as site:
        for path in ("/live/ws?app=live&room=cam1", "/ingest/ws?app=live&room=cam1", "/nowhere"):
            async with connect(site.port) as client:
                head = "".join(f"{k}: {v}\r\n" for k, v in SHAKE.items())
                await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + bytes(range(256)) * 20)
                while await client.more():
                    pass
                assert client.data.startswith(b"HTTP/1.1 404" if path == "/nowhere" else b"HTTP/1.1 101")
        async with connect(site.port) as client:
            assert (await client.get("/still")).status == 200


async def test_front_when_an_upgrade_goes_to_an_unknown_path_then_it_is_told_where_to_go() -> None:
    async with open_site() as site, connect(site.port) as client:
        await client.ask("/nowhere", headers=SHAKE)
        reply = await client.reply()
        assert (reply.status, reply.json()["code"]) == (404, "no_websocket_here")
        assert "/ingest/ws" in reply.json()["hint"]
        assert await client.ended()


async def test_front_when_the_target_is_in_absolute_form_then_it_is_the_same_request() -> None:
    """RFC 9112 §3.2.2: accepted, and its host counts instead of the Host header."""
    async with open_site() as site, connect(site.port) as client:
        assert (await client.get("http://front.test/a?b=c")).body == b"GET /a 0"
        assert (await client.get("HTTP://front.test")).body == b"GET / 0"
        assert (await client.get("http://front.test:81/ip")).body == b"127.0.0.1 http://front.test:81"
        assert (await client.get("http://front.test/live/live/cam1/frame.jpg")).status == 503
        await client.ask("http://front.test/nowhere", headers=SHAKE)
        assert (await client.reply()).json()["code"] == "no_websocket_here"
    async with open_site() as site, connect(site.port) as client:
        assert (await client.watch(f"http://front.test{MJPEG}")).status == 200
        assert (await client.part()).startswith(b"\xff\xd8")


@pytest.mark.parametrize("target", ["http://user@front.test/a", "http:///a", "ftp://front.test/a", "http:/a"])
async def test_front_when_the_target_is_no_address_of_ours_then_400(target: str) -> None:
    async with open_site() as site, connect(site.port) as client:
        reply = await client.get(target)
        assert (reply.status, reply.json()["code"]) == (400, "bad_request_target")


async def test_front_when_asked_for_http2_in_clear_then_it_answers_in_http_1_1() -> None:
    async with open_site() as site, connect(site.port) as client:
        headers = {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
        await client.ask("/a", headers=headers)
        reply = await client.reply()
        assert (reply.status, reply.body) == (200, b"GET /a 0")
        assert "upgrade" not in reply.headers


async def test_front_when_the_http2_preface_comes_then_it_is_refused() -> None:
    async with open_site() as site, connect(site.port) as client:
        await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        reply = await client.reply()
        assert (reply.status, reply.json()["code"]) == (400, "http_version")
        assert await client.ended()


async def test_front_when_the_application_fails_then_only_that_request_does() -> None:
    async with open_site() as site:
        async with connect(site.port) as client:
            await client.ask("/fail")
            while await client.more():
                pass
            assert not client.data or client.data.startswith(b"HTTP/1.1 500")
        async with connect(site.port) as client:
            assert (await client.get("/a")).status == 200


async def test_front_when_the_head_is_too_long_then_it_is_refused() -> None:
    async with open_site() as site:
        async with connect(site.port) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")
            try:
                for _ in range(4 * MOST_HEADER_BYTES // 4096):
                    await client.send(b"a" * 4096)
                    await trio.sleep(0.001)
            except trio.BrokenResourceError:
                pass  # it did not read to the end
            while await client.more():
                pass
            assert not client.data or client.data.startswith(b"HTTP/1.1 431")
            assert site.front.connections == 0
        async with connect(site.port) as client:
            assert (await client.get("/a", headers={"X-Long": "a" * (MOST_HEADER_BYTES - 500)})).status == 200


async def test_front_when_a_head_comes_slowly_then_the_connection_is_cut(clock: trio.testing.MockClock) -> None:
    async with open_site() as site, connect(site.port) as client:
        with pytest.raises(trio.BrokenResourceError):
            for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"s" * 200:
                await client.send(bytes((byte,)))
                await trio.sleep(1)
        assert trio.current_time() <= KEEP_ALIVE_S + 5
        assert site.front.connections == 0


async def test_front_when_a_connection_is_idle_then_it_is_closed(clock: trio.testing.MockClock) -> None:
    async with open_site() as site, connect(site.port) as silent, connect(site.port) as client:
        assert (await client.get("/a")).status == 200
        assert await silent.ended()
        assert await client.ended()
        assert trio.current_time() == pytest.approx(KEEP_ALIVE_S, abs=0.5)


async def test_front_when_the_client_half_closes_then_snapshots_are_answered_and_nothing_stays_open() -> None:
    async with open_site() as site:
        for path in ("/live/live/cam1/frame.jpg", "/a", MJPEG, "/live/ws?app=live&room=cam1"):
            async with connect(site.port) as client:
                await client.ask(path)
                await client.stream.send_eof()  # type: ignore[attr-defined]
                while await client.more():
                    pass
                if path.endswith("frame.jpg"):
                    assert client.data.startswith(b"HTTP/1.1 503")
        await eventually(lambda: site.front.connections == 0 and site.hub.statuses() == [])


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # a TLS hello on a plain port
        b"\x00" * 1000,
        b"\r\n\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\x80\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /live/%00/%ff%fe/mjpeg HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET live/live/cam1/mjpeg HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
        b"GET http://x/live/live/cam1/mjpeg HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x05\x01\x00",
    ],
)
async def test_front_when_garbage_comes_then_the_next_client_is_served(garbage: bytes) -> None:
    async with open_site() as site:
        async with connect(site.port) as client:
            await client.send(garbage)
            with trio.move_on_after(0.2):
                while await client.more():
                    pass
            assert b" 200 " not in client.data.split(b"\r\n")[0] or garbage.startswith((b"OPTIONS", b"GET", b"CONNECT"))
        async with connect(site.port) as client:
            assert (await client.get("/a")).body == b"GET /a 0"
        await eventually(lambda: site.front.connections == 0)


async def test_front_when_it_listens_on_a_unix_socket_then_everything_works_there(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sock")
    listener, _ = open_unix(path, setting="test")
    async with open_site(listener=listener) as site:
        stream = await trio.open_unix_socket(path)
        async with stream:
            client = HttpPeer(stream)
            forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.test"}
            assert (await client.get("/ip", headers=forwarded)).body == b"203.0.113.9 https://a.test"
            assert (await client.get("/live/live/cam1/frame.jpg")).status == 503
            assert (await client.watch(MJPEG)).status == 200
            assert (await client.part()).startswith(b"\xff\xd8")
            assert site.hub.statuses()[0].viewers["mjpeg"] == 1


class Flaky:
    """A listener whose accept fails as told before it works."""

    def __init__(self, listener: trio.SocketListener, errors: list[int]) -> None:
        self._listener, self._errors = listener, errors
        self.socket = listener.socket
        self.tried_at: list[float] = []

    async def accept(self) -> trio.SocketStream:
        self.tried_at.append(trio.current_time())
        if self._errors:
            await trio.lowlevel.checkpoint()
            raise OSError(self._errors.pop(0), "no")
        return await self._listener.accept()

    async def aclose(self) -> None:
        await self._listener.aclose()


async def test_accept_when_it_fails_for_a_while_then_it_tries_again_and_serves(
    clock: trio.testing.MockClock,
) -> None:
    listener, address = open_tcp("127.0.0.1", 0, setting="test")
    errors = [errno.EMFILE, errno.ENFILE, errno.ECONNABORTED, errno.ENOBUFS]
    flaky = Flaky(listener, errors)
    async with open_site(listener=flaky) as _, connect(address.port) as client:  # type: ignore[arg-type]
        assert (await client.get("/a")).status == 200
    # Out of something: a pause; a peer that was gone already: none.
    pauses = [b - a for a, b in zip(flaky.tried_at, flaky.tried_at[1:5], strict=False)]
    assert pauses[:4] == pytest.approx([ACCEPT_AGAIN_S, ACCEPT_AGAIN_S, 0, ACCEPT_AGAIN_S])


async def test_accept_when_it_fails_for_good_then_the_server_ends_with_that_error() -> None:
    listener, _ = open_tcp("127.0.0.1", 0, setting="test")
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="no"), flatten_subgroups=True):
        async with open_site(listener=Flaky(listener, [errno.EINVAL])):  # type: ignore[arg-type]
            await trio.sleep(10)


async def test_accept_when_descriptors_run_out_then_all_are_served_once_there_are_some() -> None:
    async with open_site() as site:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        clients = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(20)]
        try:
            used = len(list(Path("/proc/self/fd").iterdir()))
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 5, limits[1]))
            await trio.sleep(3 * ACCEPT_AGAIN_S)
            assert site.front.connections < 20
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            await eventually(lambda: site.front.connections == 20)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for client in clients:
                client.close()
        await eventually(lambda: site.front.connections == 0)


async def stalled(port: int, target: str) -> socket.socket:
    """A client that asked for something endless and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await trio.lowlevel.checkpoint()
    return client


async def test_stop_when_viewers_and_downloads_are_stalled_then_it_ends_within_five_seconds() -> None:
    clients: list[socket.socket] = []
    try:
        async with open_site() as site:
            for n in range(50):
                clients.append(await stalled(site.port, "/big" if n % 2 else MJPEG))
            clients.append(socket.create_connection(("127.0.0.1", site.port)))  # idle
            clients.append(await stalled(site.port, "/never-finished HTTP/1.1\r\nX: "))
            await eventually(lambda: len(site.hub.statuses()) == 1 and site.hub.statuses()[0].viewers["mjpeg"] == 25)
            await trio.sleep(0.3)  # their buffers fill
            began = trio.current_time()
            await site.hub.shutdown(2)
            await site.front.stop(1)
            assert site.front.connections == 0
            assert trio.current_time() - began < 4
    finally:
        for client in clients:
            client.close()


async def test_stop_when_a_request_is_running_then_it_may_finish_within_the_grace() -> None:
    async with open_site() as site, connect(site.port) as client, trio.open_nursery() as nursery:
        await client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
        await trio.sleep(0.2)
        nursery.start_soon(site.front.stop, 2)
        await trio.sleep(0.1)
        await client.send(b"llo")
        assert (await client.reply()).body == b"POST /a 5"
        assert await client.ended()


async def test_front_when_the_client_reads_slowly_then_it_gets_every_byte_in_order() -> None:
    async with open_site() as site, connect(site.port) as client:
        await client.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked(0.05)  # the kernel takes no more
        assert (await client.reply()).body == BIG

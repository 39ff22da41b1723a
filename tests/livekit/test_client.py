"""The client against a real livekit-server, and its errors against one that fails on demand."""

from __future__ import annotations

import json

import pytest
import trio
from livekit.protocol import ingress as proto_ingress
from livekit.protocol import room as proto_room

from streamhub.errors import BadRequest, NotFound, Unavailable
from streamhub.livekit.client import LiveKitClient
from streamhub.livekit.server import LiveKit
from streamhub.livekit.session import Session, Timeout
from streamhub.livekit.tokens import LiveKitKeys
from tests.livekit.conftest import KEYS
from tests.livekit.fake_server import fake_server, serving


async def make_room(livekit: LiveKit, name: str) -> None:
    request = proto_room.CreateRoomRequest(name=name, empty_timeout=300)
    await livekit.client.call(lambda: livekit.client.room().create_room(request))


async def test_rooms_when_some_exist_then_they_are_listed_and_can_be_deleted(livekit_server: LiveKit) -> None:
    client = livekit_server.client
    await make_room(livekit_server, "live-a")
    await make_room(livekit_server, "live-b")
    assert sorted(r.name for r in await client.rooms()) == ["live-a", "live-b"]
    (one,) = await client.rooms(["live-b", "live-c"])
    assert (one.name, one.participants, one.publishers) == ("live-b", 0, 0)
    assert one.sid.startswith("RM_")
    assert one.created_at.tzinfo is not None
    await client.delete_room("live-a")
    assert [r.name for r in await client.rooms()] == ["live-b"]


async def test_what_is_not_there_when_named_then_not_found_or_nobody(livekit_server: LiveKit) -> None:
    client = livekit_server.client
    assert await client.participants("live-none") == []
    with pytest.raises(NotFound):
        await client.participant("live-none", "ann")
    with pytest.raises(NotFound):
        await client.remove_participant("live-none", "ann")
    with pytest.raises(NotFound):
        await client.delete_room("live-none")


async def test_ingress_without_its_service_when_asked_then_unavailable(livekit_server: LiveKit) -> None:
    client = livekit_server.client
    request = proto_ingress.ListIngressRequest()
    with pytest.raises(Unavailable):
        await client.call(lambda: client.ingress().list_ingress(request))


async def test_key_when_wrong_then_the_settings_are_named(livekit_server: LiveKit) -> None:
    client = LiveKitClient(livekit_server.require, LiveKitKeys("APItest", "another-secret-of-thirty-two-chars-or-more"))
    with pytest.raises(Unavailable) as caught:
        await client.rooms()
    assert caught.value.code == "livekit_refuses_key"
    assert "STREAMHUB_LIVEKIT_API_SECRET" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "code", "error", "slug"),
    [
        (400, "invalid_argument", BadRequest, "livekit_bad_request"),
        (404, "not_found", NotFound, "livekit_not_found"),
        (404, "bad_route", Unavailable, "livekit_failed"),
        (403, "permission_denied", Unavailable, "livekit_refuses_key"),
        (500, "internal", Unavailable, "livekit_failed"),
        (503, "unavailable", Unavailable, "livekit_failed"),
    ],
)
async def test_call_when_livekit_fails_then_the_error_is_ours(
    status: int, code: str, error: type[Exception], slug: str
) -> None:
    body = json.dumps({"code": code, "msg": "told so"}).encode()
    async with fake_server(status=status, body=body) as fake:
        client = LiveKitClient(lambda: fake.url, KEYS)
        with pytest.raises(error) as caught:
            await client.rooms()
        assert fake.calls == ["/twirp/livekit.RoomService/ListRooms"], "asked once: no second try behind our back"
    assert caught.value.code == slug  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>"])
async def test_call_when_a_proxy_answers_in_its_own_way_then_unavailable(body: bytes) -> None:
    async with fake_server(status=502, body=body) as fake:
        with pytest.raises(Unavailable, match="502"):
            await LiveKitClient(lambda: fake.url, KEYS).rooms()


async def test_call_when_something_else_answers_then_unavailable_names_the_setting() -> None:
    async with fake_server(status=200, body=b"<html>Welcome</html>") as fake:
        with pytest.raises(Unavailable, match="not livekit-server") as caught:
            await LiveKitClient(lambda: fake.url, KEYS).rooms()
    assert "STREAMHUB_LIVEKIT_URL" in caught.value.hint


async def test_call_when_there_is_no_server_then_it_is_said_at_once() -> None:
    with pytest.raises(Unavailable) as caught:
        await LiveKit(KEYS, managed=True).client.rooms()
    assert caught.value.code == "no_livekit"


async def test_session_when_nobody_listens_then_unavailable() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await Session().request("GET", f"http://127.0.0.1:{port}/", {})


async def test_session_when_no_answer_comes_then_unavailable_in_time() -> None:
    async def silence(stream: trio.SocketStream) -> None:
        async with stream:
            await trio.sleep_forever()

    async with serving(silence) as url:
        session = Session(Timeout(0.05))
        with pytest.raises(Unavailable, match=r"no answer for 0\.05 s"):
            async with session.post(f"{url}/x", data=b"x"):
                pass


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"SSH-2.0-hello\r\n", b"HTTP/1.1 2"],
)
async def test_session_when_the_answer_is_none_then_unavailable(said: bytes) -> None:
    async def babble(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(said)

    async with serving(babble) as url:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await Session().request("GET", f"{url}/", {}, within_s=5)


async def test_session_when_the_answer_never_ends_then_it_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamhub.livekit.session.MOST_BYTES", 1000)

    async def flood(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    await stream.send_all(bytes(4096))
            except trio.BrokenResourceError:
                pass

    async with serving(flood) as url:
        with pytest.raises(Unavailable, match="too large"):
            await Session().request("GET", f"{url}/", {}, within_s=5)


async def test_session_when_tls_is_not_trusted_then_unavailable_says_why() -> None:
    async def plain(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(plain) as url:
        with pytest.raises(Unavailable, match=r"(?i)ssl"):
            await Session().request("GET", url.replace("http:", "https:"), {}, within_s=5)

"""docs/platforms/backend: each hands a phone what it joins the real livekit-server with, and nobody else."""

from __future__ import annotations

import socket
from typing import Any

import jwt
import pytest
import trio

from tests.docs.backends import backend
from tests.support.rtc import rtc_peer
from tests.support.server import Server

LANGUAGES = ["python", "node"]
CLOSED = "http://127.0.0.1:1"  # nobody listens


async def make_api_token(hub: Server) -> str:
    """As docs/platforms/README.md makes it: for one app, with the one right."""
    body = {"name": "backend", "scope": "app", "app": "live", "rights": ["publish"]}
    answer = await hub.request("POST", "/api/v1/tokens", body)
    assert answer.status == 201, answer.body
    return str(answer.data["token"])


def claims(pair: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(pair["token"], options={"verify_signature": False})
    return found


@pytest.mark.parametrize("language", LANGUAGES)
async def test_phone_when_its_user_is_signed_in_then_the_pair_joins_and_allows_what_the_server_said(
    hub: Server, language: str
) -> None:
    async with backend(language, hub.base_url, await make_api_token(hub)) as server:
        # What the app claims about itself does not count.
        status, ann = await server.ask({"room": "demo", "identity": "root", "ttl": "2 days"})
        assert (status, set(ann)) == (200, {"token", "wsUrl"})
        _, bob = await server.ask({"room": "demo", "canPublish": True}, "session-of-bob")
        assert claims(ann)["exp"] - claims(ann)["nbf"] <= 310
        assert "roomAdmin" not in claims(ann)["video"]
        assert not claims(bob)["video"]["canPublish"]
        async with rtc_peer(ann["wsUrl"], ann["token"]) as phone, rtc_peer(bob["wsUrl"], bob["token"]) as other:
            assert (await phone.said("joined"))["who"] == "ann"
            assert (await other.said("joined"))["room"] == "live-demo"
            await phone.do("publish", kind="video")
            await other.said("frames", who="ann", count=10)

        async with backend(language, hub.base_url, "sk_wrong") as stranger:
            assert (await stranger.ask({"room": "demo"}))[0] == 502
            await stranger.says("StreamHub answered 401")
        await hub.stop()
        assert (await server.ask({"room": "demo"}))[0] == 503


@pytest.mark.parametrize("language", LANGUAGES)
async def test_request_when_it_may_not_then_refused_without_asking_streamhub(language: str) -> None:
    async with backend(language, CLOSED, "sk_x") as server:
        for session in (None, "", "session-of-eve", "constructor", "__proto__"):
            assert (await server.ask({"room": "demo"}, session))[0] == 401
        for body in (b"", b"{", b"[]", b"null", b'"demo"', {"rooms": "demo"}):
            assert (await server.ask(body))[0] == 400
        assert (await server.ask({"room": "x" * 2000}))[0] == 400
        assert (await server.ask({"room": "other"}))[0] == 403
        assert (await server.send("POST", "/", b"", None))[0] == 404
        assert "StreamHub" not in "".join(server.printed)
        assert (await server.ask({"room": "demo"}))[0] == 503
        await server.says("StreamHub could not be asked")


async def test_streamhub_when_it_never_answers_then_503_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with backend("python", url, "sk_x") as one, backend("node", url, "sk_x") as two:
            answers: list[int] = []

            async def ask(server: Any) -> None:
                answers.append((await server.ask({"room": "demo"}))[0])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, one)
                nursery.start_soon(ask, two)
            assert answers == [503, 503]

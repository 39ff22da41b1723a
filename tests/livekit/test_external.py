"""Watching a livekit-server of somebody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from streamhub.errors import Unavailable
from streamhub.livekit import external
from streamhub.livekit.external import PROBE_ROOM, ExternalServer
from streamhub.livekit.server import LiveKit, State, parse_version
from tests.livekit.conftest import KEYS
from tests.livekit.fake_server import fake_server
from tests.support.waiting import eventually


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[LiveKit]:
    """An external server's ``LiveKit``, looked at all the time."""
    livekit = LiveKit(KEYS, managed=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ExternalServer(livekit, url).run)
        yield livekit
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "LOOK_S", 0.02)


async def test_external_server_when_real_then_its_version_is_known_and_no_trace_is_left(
    livekit_server: LiveKit,
) -> None:
    assert livekit_server.url is not None
    async with watching(livekit_server.url.replace("http:", "ws:")) as livekit:
        await eventually(lambda: livekit.state is State.READY)
        assert livekit.version == "1.13.5"
        assert livekit.require_whip() == livekit_server.url
        assert await livekit_server.client.rooms([PROBE_ROOM]) == []


@pytest.mark.parametrize(
    ("version", "takes_whip"), [("1.8.4", False), ("1.9.0", False), ("1.9.1", True), ("2.0.0", True), ("", True)]
)
async def test_external_server_when_older_than_whip_then_only_that_is_refused(version: str, takes_whip: bool) -> None:
    async with fake_server(version=version) as fake, watching(fake.url) as livekit:
        await eventually(lambda: livekit.state is State.READY)
        assert livekit.require() == fake.url
        if takes_whip:
            assert livekit.require_whip() == fake.url
        else:
            with pytest.raises(Unavailable, match=f"{version} is too old for WHIP and relays") as caught:
                livekit.require_whip()
            assert "1.9.1" in caught.value.hint


async def test_external_server_when_it_tells_no_version_then_it_is_used_all_the_same() -> None:
    async with fake_server(version=None) as fake, watching(fake.url) as livekit:
        await eventually(lambda: livekit.state is State.READY)
        assert livekit.version is None
        assert livekit.require_whip() == fake.url


async def test_external_server_when_it_goes_and_comes_then_so_does_the_state_and_it_is_logged_once(
    logged: Callable[[], str],
) -> None:
    async with fake_server() as fake, watching(fake.url) as livekit:
        await eventually(lambda: livekit.state is State.READY)
        fake.status = 500
        await eventually(lambda: livekit.state is State.DOWN)
        seen = len(fake.calls)
        await eventually(lambda: len(fake.calls) > seen + 3)
        with pytest.raises(Unavailable, match="500"):
            livekit.require()
        fake.status = 200
        await eventually(lambda: livekit.state is State.READY)
    assert logged().count('"livekit-server is down"') == 1
    assert logged().count('"livekit-server is ready"') == 2


async def test_external_server_when_our_keys_are_wrong_then_the_settings_are_named(
    logged: Callable[[], str],
) -> None:
    async with fake_server(status=401) as fake, watching(fake.url) as livekit:
        await eventually(lambda: livekit.state is State.DOWN)
    assert "STREAMHUB_LIVEKIT_API_KEY" in livekit.hint
    assert KEYS.api_secret not in logged()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.13.5", (1, 13, 5)),
        ("v1.9.1", (1, 9, 1)),
        ("1.9.1-rc2", (1, 9, 1)),
        ("1.9", None),
        ("", None),
        ("dev", None),
        ("1.٣.5", None),
    ],
)
def test_version_when_parsed(text: str, expected: tuple[int, ...] | None) -> None:
    assert parse_version(text) == expected


async def test_external_server_when_one_of_several_is_down_then_another_is_used_and_kept(
    logged: Callable[[], str],
) -> None:
    async with fake_server(version="1.13.5") as there:
        async with fake_server(version="1.9.1") as first, watching(f"{first.url},{there.url}") as livekit:
            await eventually(lambda: livekit.state is State.READY)
            assert (livekit.require(), livekit.version) == (first.url, "1.9.1")
            first.status = 500
            await eventually(lambda: livekit.url == there.url)
            await eventually(lambda: livekit.version == "1.13.5")
            first.status = 200
            asked = len(there.calls)
            await eventually(lambda: len(there.calls) > asked + 2)
            assert livekit.require() == there.url
            first.status = there.status = 500
            await eventually(lambda: livekit.state is State.DOWN)
    assert "another is used" in logged()

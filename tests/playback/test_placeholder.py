from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from streamhub.model.streams import State
from streamhub.playback import placeholder
from streamhub.playback.placeholder import DEFAULT_SIZE, Placeholders, describe, draw
from tests.support.media import room_key

SINCE = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)


def opened(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize(
    ("state", "since", "headline", "second"),
    [
        (State.OFFLINE, SINCE, "Camera offline", "since"),
        (State.ENDED, SINCE, "Camera offline", "since"),
        (State.OFFLINE, None, "Waiting for the camera", "nothing"),
        (State.STALE, SINCE, "No picture", "since"),
        (State.STALE, None, "No picture", ""),
        (State.CONNECTING, SINCE, "connecting", "since"),
        (State.CONNECTING, None, "connecting", ""),
        (State.LIVE, SINCE, "Live by WebRTC", "open the room's page"),
    ],
)
def test_describe_when_in_a_state_then_it_says_which_and_since_when(
    state: State, since: datetime | None, headline: str, second: str
) -> None:
    found = describe(state, since)
    assert headline in found[0]
    assert second in found[1]
    if since and second == "since":
        assert since.astimezone().strftime("%Y-%m-%d %H:%M:%S") in found[1]


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        (DEFAULT_SIZE, DEFAULT_SIZE),
        ((1600, 1200), (1600, 1080)),
        ((20, 10), (160, 120)),
        ((65535, 65535), (1920, 1080)),
    ],
)
def test_draw_when_a_size_is_asked_then_it_is_drawn_within_bounds(
    asked: tuple[int, int], drawn: tuple[int, int]
) -> None:
    assert opened(draw("live-cam1", State.OFFLINE, SINCE, asked)).size == drawn


def test_draw_when_the_names_are_long_then_they_fit() -> None:
    image = opened(draw("live-" + "m" * 115, State.OFFLINE, SINCE, (320, 240)))
    background = image.getpixel((317, 5))
    columns = [image.getpixel((x, int(240 / 2 - 40 * 240 / 360))) for x in (0, 1, 318, 319)]
    assert background is not None
    assert all(sum(c) < 300 for c in columns[2:])  # type: ignore[arg-type]


def test_draw_when_states_differ_then_so_do_the_pictures() -> None:
    states = (State.OFFLINE, State.STALE, State.CONNECTING)
    assert len({draw("r", s, SINCE, DEFAULT_SIZE) for s in states}) == 3


async def test_placeholders_when_asked_again_then_it_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[datetime | None] = []
    real = draw

    def counting(room: str, state: State, since: datetime | None, size: tuple[int, int]) -> bytes:
        drawn.append(since)
        return real(room, state, since, (160, 120))

    monkeypatch.setattr(placeholder, "draw", counting)
    make = Placeholders()
    one = await make(room_key(), State.OFFLINE, SINCE, None)
    assert await make(room_key(), State.OFFLINE, SINCE, DEFAULT_SIZE) == one
    assert len(drawn) == 1
    for n in range(1, placeholder._KEEP + 1):  # as many others: the first is forgotten
        await make(room_key(), State.OFFLINE, SINCE + timedelta(seconds=n), None)
    assert await make(room_key(), State.OFFLINE, SINCE, None) == one
    assert len(drawn) == placeholder._KEEP + 2
    assert len(make._kept) == placeholder._KEEP


async def test_placeholder_when_rooms_were_never_seen_then_they_share_one_drawing() -> None:
    make = Placeholders()
    one = await make(room_key("cam1"), State.OFFLINE, None, None)
    assert await make(room_key("cam2"), State.OFFLINE, None, None) is one
    seen = datetime(2026, 11, 23, tzinfo=UTC)
    assert await make(room_key("cam1"), State.OFFLINE, seen, None) != await make(
        room_key("cam2"), State.OFFLINE, seen, None
    )

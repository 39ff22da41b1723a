from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.simulator.mpjpeg import MOST_FRAME_BYTES, Splitter


def part(frame):
    # As ffmpeg writes it (libavformat/mpjpeg).
    return b"--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: %d\r\n\r\n" % len(frame) + frame + b"\r\n"


@given(frames=st.lists(st.binary(max_size=200), max_size=8), cuts=st.lists(st.integers(1, 97), max_size=50))
def test_splitter_when_fed_in_any_pieces_then_gives_every_frame_once(frames, cuts):
    data = b"".join(map(part, frames))
    splitter, found = Splitter(), []
    for cut in [*cuts, len(data) + 1]:
        found += splitter.feed(data[:cut])
        data = data[cut:]
    assert found == frames


@pytest.mark.parametrize(
    "head",
    [
        b"--ffmpeg\r\nContent-type: image/jpeg\r\n\r\n",
        b"--ffmpeg\r\nContent-length: x\r\n\r\n",
        b"--ffmpeg\r\nContent-length: %d\r\n\r\n" % (MOST_FRAME_BYTES + 1),
        b"x" * 5000,
    ],
)
def test_splitter_when_there_is_no_usable_length_then_refuses(head):
    with pytest.raises(ValueError, match=r"head|Content-length"):
        Splitter().feed(head)

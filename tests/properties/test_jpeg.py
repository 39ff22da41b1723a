from __future__ import annotations

import io

from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from streamhub.wire.jpeg import is_jpeg, jpeg_size
from tests.support.pictures import kinds, picture, segment, with_segments

REAL = [data for data, _ in kinds().values()]


@given(st.binary(max_size=200))
@example(b"\xff\xd8" + b"\xff" * 7)
def test_jpeg_size_when_given_anything_then_it_never_raises(data: bytes) -> None:
    for bytes_ in (data, b"\xff\xd8" + data):
        size = jpeg_size(bytes_)
        assert size is None or (0 < size[0] <= 65535 and 0 < size[1] <= 65535)
        assert is_jpeg(bytes_) == (bytes_[:2] == b"\xff\xd8" and len(bytes_) >= 4)


@given(st.sampled_from(REAL), st.data())
def test_jpeg_size_when_a_real_picture_is_cut_or_damaged_then_it_never_raises(real: bytes, data: st.DataObject) -> None:
    damaged = bytearray(real[: data.draw(st.integers(0, len(real)))])
    for _ in range(data.draw(st.integers(0, 8)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    size = jpeg_size(bytes(damaged))
    assert size is None or min(size) > 0


@given(
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
    st.sampled_from(["RGB", "L", "CMYK"]),
    st.booleans(),
    st.integers(1, 95),
    st.lists(st.tuples(st.integers(0xE0, 0xEF) | st.just(0xFE), st.binary(max_size=300)), max_size=6),
)
def test_jpeg_size_when_pillow_wrote_it_then_they_agree(
    size: tuple[int, int], mode: str, progressive: bool, quality: int, extra: list[tuple[int, bytes]]
) -> None:
    plain = picture(size, mode, progressive=progressive, quality=quality)
    data = with_segments(plain, *(segment(marker, b"x" + payload) for marker, payload in extra))
    assert jpeg_size(data) == size == Image.open(io.BytesIO(plain)).size

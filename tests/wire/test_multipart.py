from __future__ import annotations

from streamhub.wire.multipart import CONTENT_TYPE, OPENING, format_part
from tests.support.multipart import parts_of


def test_format_part_when_written_then_the_next_boundary_line_comes_along() -> None:
    assert OPENING == b"--frame\r\n"
    assert format_part(b"\xff\xd8..\xff\xd9") == (
        b"Content-Type: image/jpeg\r\nContent-Length: 6\r\n\r\n\xff\xd8..\xff\xd9\r\n--frame\r\n"
    )


def test_content_type_when_read_then_it_names_the_boundary_that_is_used() -> None:
    kind, _, parameter = CONTENT_TYPE.partition("; boundary=")
    assert (kind, f"--{parameter}\r\n".encode()) == ("multipart/x-mixed-replace", OPENING)


def test_parts_when_pictures_contain_the_boundary_then_an_independent_reader_gets_them_whole() -> None:
    pictures = [b"\xff\xd8--frame\r\n\r\n\xff\xd9", b"", b"\r\n--frame\r\n", b"x" * 100_000]
    assert parts_of(OPENING + b"".join(map(format_part, pictures))) == pictures

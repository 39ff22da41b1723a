from __future__ import annotations

import pytest

from streamhub.wire.rtmp import chunks
from streamhub.wire.rtmp.chunks import MOST_BUFFERED, MOST_STREAMS, ChunkReader, Message, format_message
from streamhub.wire.rtmp.errors import RtmpError
from tests.support.rtmp import AUDIO, VIDEO, ChunkWriter

MOST = 1 << 20


def read(data: bytes, most: int = MOST) -> list[Message]:
    return list(ChunkReader(most).receive(data))


@pytest.mark.parametrize("csid", [2, 3, 63, 64, 319, 320, 65_599])
def test_message_when_its_stream_has_any_id_then_it_is_read(csid: int) -> None:
    assert read(ChunkWriter().message(csid, VIDEO, b"x" * 300, 40, 1)) == [Message(VIDEO, 40, 1, b"x" * 300)]


def test_times_when_headers_shrink_then_they_go_on() -> None:
    writer, times = ChunkWriter(), [20, 40, 60, 100, 140, 90]
    data = [writer.message(4, AUDIO, b"abc", time, 1) for time in times]
    # Type 0; 3, which repeats the first one's time; 3; 2; 3; 2 with a negative difference.
    assert [piece[0] >> 6 for piece in data] == [0, 3, 3, 2, 3, 2]
    assert [m.timestamp for m in read(b"".join(data))] == times


def test_time_when_a_late_first_header_is_repeated_then_it_stands() -> None:
    data = ChunkWriter().message(4, AUDIO, b"abc", 3_600_000, 1)
    assert [m.timestamp for m in read(data + b"\xc4abc")] == [3_600_000, 3_600_000]


@pytest.mark.parametrize("repeat", [True, False])
@pytest.mark.parametrize("first", [0xFFFFFE, 0xFFFFFF, 0x1000000, 0xFFFFFFF0])
def test_times_when_they_need_four_bytes_then_chunks_may_repeat_them(first: int, repeat: bool) -> None:
    writer = ChunkWriter(repeat=repeat)
    times = [first, first + 40, first + 0x1000100, first + 0x1000200]
    bodies = [bytes([n]) * 300 for n in range(4)]
    data = b"".join(
        writer.message(6, VIDEO, body, time & 0xFFFFFFFF, 1) for time, body in zip(times, bodies, strict=True)
    )
    assert [(m.timestamp, m.body) for m in read(data)] == [
        (time & 0xFFFFFFFF, body) for time, body in zip(times, bodies, strict=True)
    ]


def test_messages_when_interleaved_then_each_is_whole() -> None:
    writer = ChunkWriter()
    video = writer.chunks(6, VIDEO, b"v" * 300, 5, 1)
    audio = writer.chunks(4, AUDIO, b"a" * 200, 7, 1)
    data = video[0] + audio[0] + video[1] + audio[1] + video[2]
    assert read(data) == [Message(AUDIO, 7, 1, b"a" * 200), Message(VIDEO, 5, 1, b"v" * 300)]


def test_chunk_size_when_it_changes_then_the_next_chunk_has_it() -> None:
    writer = ChunkWriter()
    data = writer.message(6, VIDEO, b"v" * 300)
    for size in (1, 4096, 0x7FFFFFFF):
        data += writer.set_size(size) + writer.message(6, VIDEO, b"v" * 300)
    assert [len(m.body) for m in read(data)] == [300] * 4


@pytest.mark.parametrize("body", [b"\0\0\0\0", b"\x80\0\0\0", b"\0\0\1", b""])
def test_chunk_size_when_it_is_none_then_it_is_refused(body: bytes) -> None:
    with pytest.raises(RtmpError, match="chunk size"):
        read(ChunkWriter().message(2, 1, body))


def test_message_when_aborted_then_the_next_is_whole() -> None:
    writer = ChunkWriter()
    cut = writer.chunks(6, VIDEO, b"v" * 300)[0]
    reader = ChunkReader(MOST)
    assert list(reader.receive(cut)) == []
    assert reader.buffered == 128
    assert list(reader.receive(writer.message(2, 2, (6).to_bytes(4, "big")))) == []
    assert reader.buffered == 0
    assert list(reader.receive(writer.message(6, VIDEO, b"w" * 200, 40))) == [Message(VIDEO, 40, 0, b"w" * 200)]
    assert list(reader.receive(writer.message(2, 2, (99).to_bytes(4, "big")))) == []


def test_message_when_empty_then_it_is_one() -> None:
    writer = ChunkWriter()
    assert [m.body for m in read(writer.message(4, AUDIO, b"") + writer.message(4, AUDIO, b"", 20))] == [b"", b""]


def test_first_message_when_its_header_has_no_stream_then_it_is_taken() -> None:
    """librtmp begins a chunk stream like this at times."""
    data = bytes([0x44]) + b"\0\0\x28" + b"\0\0\3" + bytes([AUDIO]) + b"abc"
    assert read(data) == [Message(AUDIO, 40, 0, b"abc")]


@pytest.mark.parametrize("form", [2, 3])
def test_first_message_when_its_header_has_no_length_then_it_is_refused(form: int) -> None:
    with pytest.raises(RtmpError, match="without a message header"):
        read(bytes([form << 6 | 4]))


def test_message_when_another_begins_in_it_then_it_is_refused() -> None:
    writer = ChunkWriter()
    cut = writer.chunks(6, VIDEO, b"v" * 300)[0]
    with pytest.raises(RtmpError, match="before the one before"):
        read(cut + writer.message(6, VIDEO, b"w" * 10))


def test_limits_when_passed_then_it_is_refused() -> None:
    writer = ChunkWriter()
    with pytest.raises(RtmpError, match="too long"):
        read(writer.chunks(6, VIDEO, b"v" * 301)[0], 300)
    with pytest.raises(RtmpError, match="chunk streams"):
        read(b"".join(writer.message(100 + n, AUDIO, b"") for n in range(MOST_STREAMS + 1)))


def test_memory_when_many_messages_are_unfinished_then_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MOST_BUFFERED", 1000)
    reader, writer = ChunkReader(MOST), ChunkWriter()
    with pytest.raises(RtmpError, match="unfinished"):
        for n in range(20):
            list(reader.receive(writer.chunks(10 + n, VIDEO, b"v" * 5000)[0]))
            assert reader.buffered <= 1000
    assert MOST_BUFFERED == 16 * 1024 * 1024


@pytest.mark.parametrize("time", [0, 0xFFFFFF, 0x12345678])
def test_answer_when_longer_than_a_chunk_then_it_is_split(time: int) -> None:
    message = Message(20, time, 1, bytes(range(256)) * 2)
    assert read(format_message(3, message)) == [message]


@pytest.mark.parametrize("csid", [6, 70])
@pytest.mark.parametrize("time", [40, 0x1000000])
def test_message_when_cut_into_many_chunks_with_others_among_them_then_each_is_whole(csid: int, time: int) -> None:
    writer = ChunkWriter()
    body = bytes(n % 251 for n in range(5000))
    video = writer.chunks(csid, VIDEO, body, time, 1)
    audio = writer.chunks(4, AUDIO, b"\xc6" * 300, 7, 1)
    data = (
        b"".join(video[:7]) + audio[0] + video[7] + audio[1] + b"".join(video[8:20]) + audio[2] + b"".join(video[20:])
    )
    assert read(data) == [Message(AUDIO, 7, 1, b"\xc6" * 300), Message(VIDEO, time, 1, body)]

from __future__ import annotations

import gzip
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.wire.flv import Tag
from streamhub.wire.rtmp import amf0
from streamhub.wire.rtmp.chunks import ChunkReader, Message
from streamhub.wire.rtmp.errors import RtmpError
from streamhub.wire.rtmp.publish import MOST_COMMAND, MOST_MESSAGE, Event, PublishRequested, PublishSession
from tests.support.rtmp import ChunkWriter, media, opening, publish_commands

# The first bytes of real encoders' connections: handshake, commands, media.
CORPUS = sorted((Path(__file__).parents[1] / "wire" / "rtmp" / "corpus").glob("*.gz"))
SPLITS = st.lists(st.integers(1, 2000), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=6,
)
MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([3, 4, 6, 64, 400]),
        st.sampled_from([8, 9, 18]),
        st.binary(max_size=20) | st.integers(0, 2000).map(bytes),
        st.integers(0, 0xFFFFFFFF) | st.sampled_from([0xFFFFFE, 0xFFFFFF, 0x1000000]),
        st.integers(0, 3),
    ),
    max_size=6,
)


def capture(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def run(session: PublishSession, data: bytes) -> tuple[list[Event], bool]:
    """The events, accepting who asks, and whether the session still lives."""
    events: list[Event] = []
    try:
        for event in session.receive(data):
            if isinstance(event, PublishRequested):
                session.accept()
            events.append(event)
    except RtmpError:
        return events, False
    return events, True


def in_pieces(data: bytes, splits: Sequence[int]) -> tuple[list[Event], bytes]:
    """The events of a session that gets the bytes in pieces, and what it has to say."""
    session = PublishSession(lambda n: bytes(n))
    events: list[Event] = []
    at, said = 0, b""
    for size in [*splits, len(data)]:
        found, alive = run(session, data[at : at + size])
        events += found
        at += size
        said += session.bytes_to_send()
        assert session.buffered <= len(data)
        if not alive:
            break
    return events, said


@given(MESSAGES, st.sampled_from([1, 100, 128, 4096]), SPLITS)
def test_messages_when_written_as_chunks_and_split_anywhere_then_they_are_read(
    messages: list[tuple[int, int, bytes, int, int]], size: int, splits: list[int]
) -> None:
    writer = ChunkWriter()
    data = writer.set_size(size) + b"".join(
        writer.message(csid, kind, body, time, stream) for csid, kind, body, time, stream in messages
    )
    reader, found, at = ChunkReader(1 << 20), [], 0
    for piece in [*splits, len(data)]:
        found += reader.receive(data[at : at + piece])
        at += piece
    assert found == [Message(kind, time, stream, body) for _, kind, body, time, stream in messages]
    assert reader.buffered == 0


@given(st.lists(VALUES, max_size=3))
def test_values_when_written_then_they_are_read(values: list[amf0.Value]) -> None:
    assert amf0.decode(amf0.encode(*values)) == values


@given(st.binary(max_size=300))
def test_values_when_they_are_any_bytes_then_they_are_values_or_an_error(data: bytes) -> None:
    try:
        amf0.decode(data)
    except RtmpError:
        pass


@given(SPLITS)
def test_session_when_its_bytes_are_split_anywhere_then_events_and_answers_are_the_same(splits: list[int]) -> None:
    writer = ChunkWriter()
    data = opening() + b"".join(publish_commands(writer, "stk_1")) + media(writer)
    whole = in_pieces(data, [])
    assert in_pieces(data, splits) == whole
    assert len(whole[0]) == 10


@given(st.sampled_from(CORPUS), SPLITS)
def test_capture_when_split_anywhere_then_its_events_are_the_same(path: Path, splits: list[int]) -> None:
    data = capture(path)
    events, _ = in_pieces(data, [])
    assert in_pieces(data, [s * 5 for s in splits])[0] == events
    assert sum(isinstance(e, Tag) for e in events) > 5


@given(st.binary(max_size=3000), st.booleans(), SPLITS)
def test_session_when_it_gets_any_bytes_then_it_gives_events_or_an_error(
    data: bytes, publishing: bool, splits: list[int]
) -> None:
    writer = ChunkWriter()
    start = opening() + (b"".join(publish_commands(writer, "stk_1")) if publishing else b"")
    in_pieces(start + data, splits)


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: p.stem)
def test_capture_when_bytes_are_changed_then_it_gives_events_or_an_error(path: Path) -> None:
    data = capture(path)
    for seed in range(150):
        rng = random.Random(seed)
        broken = bytearray(data)
        for _ in range(rng.choice([1, 3, 20])):
            at = rng.randrange(3073, len(broken))
            match rng.randrange(3):
                case 0:
                    broken[at] = rng.choice([0, 1, 0xFF, rng.randrange(256)])
                case 1:
                    del broken[at : at + rng.choice([1, 2, 50])]
                case _:
                    broken[at:at] = rng.randbytes(rng.choice([1, 4, 50]))
        session = PublishSession()
        for at in range(0, len(broken), 1000):
            _, alive = run(session, bytes(broken[at : at + 1000]))
            assert session.buffered <= len(broken)
            if not alive:
                break


def test_memory_when_nothing_is_ever_finished_then_it_stays_within_its_limits() -> None:
    """Before publishing is granted an endless message costs 64 KiB at most, one that is granted 8 MiB."""
    writer = ChunkWriter()
    session = PublishSession()
    run(session, opening())
    endless = writer.chunks(6, 9, bytes(MOST_COMMAND + 1))
    assert run(session, endless[0]) == ([], False)
    session = PublishSession()
    writer = ChunkWriter()
    run(session, opening() + b"".join(publish_commands(writer, "stk_1")) + writer.set_size(1 << 16))
    alive, csid, most = True, 10, 0
    while alive:
        for piece in writer.chunks(csid, 9, bytes(MOST_MESSAGE))[:-1]:
            _, alive = run(session, piece)
            most = max(most, session.buffered)
            if not alive:
                break
        csid += 1
    assert csid == 13
    assert most <= 2 * MOST_MESSAGE + 64

"""The prebuilt frames, read by wsproto: an implementation that shares nothing with the writer."""

from __future__ import annotations

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage

from streamhub.wire.websocket import format_binary, format_text


def read(data: bytes) -> list[BytesMessage | TextMessage]:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(data)
    return list(client.events())  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 300_000])
def test_format_binary_when_the_length_needs_any_form_then_a_client_reads_it(length: int) -> None:
    payload = bytes(n % 251 for n in range(length))
    (message,) = read(format_binary(payload))
    assert isinstance(message, BytesMessage)
    assert (bytes(message.data), message.message_finished) == (payload, True)


@pytest.mark.parametrize(
    ("length", "header"),
    [(125, b"\x82\x7d"), (126, b"\x82\x7e\x00\x7e"), (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00")],
)
def test_format_binary_when_written_then_the_length_has_its_shortest_form(length: int, header: bytes) -> None:
    assert format_binary(b"x" * length) == header + b"x" * length


@pytest.mark.parametrize("text", ["", "ready", "ü€😀", "x" * 126, "ü" * 40_000])
def test_format_text_when_written_then_a_client_reads_it(text: str) -> None:
    (message,) = read(format_text(text))
    assert isinstance(message, TextMessage)
    assert (message.data, message.message_finished) == (text, True)


def test_frames_when_sent_one_after_the_other_then_their_order_and_kinds_stay() -> None:
    messages = read(format_text("a") + format_binary(b"b") + format_text("c"))
    assert [m.data for m in messages] == ["a", b"b", "c"]

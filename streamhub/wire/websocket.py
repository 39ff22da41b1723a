"""WebSocket frames a server sends, built once and shared by every viewer (RFC 6455 §5.2: servers do not mask)."""

from __future__ import annotations

_TEXT, _BINARY = 0x81, 0x82


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def format_binary(payload: bytes) -> bytes:
    """A whole binary message in one frame."""
    return _header(_BINARY, len(payload)) + payload


def format_text(text: str) -> bytes:
    """A whole text message in one frame."""
    payload = text.encode()
    return _header(_TEXT, len(payload)) + payload

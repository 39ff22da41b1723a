"""AAC as MPEG-TS and some files carry it, each frame behind a header of its own (ISO/IEC 14496-3, 1.A.2)."""

from __future__ import annotations

from typing import Final

_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def is_adts(data: bytes) -> bool:
    """Whether a frame begins with its own header."""
    return len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0


def strip_adts(data: bytes) -> bytes:
    """The frame without its header."""
    return data[7 if data[1] & 1 else 9 :]


def config_of_frame(data: bytes) -> bytes:
    """The AudioSpecificConfig that says the same as the frame's header."""
    kind, rate = (data[2] >> 6) + 1, data[2] >> 2 & 0x0F
    channels = (data[2] & 1) << 2 | data[3] >> 6
    return _pack(kind, rate, channels)


def config_of(rate: int, channels: int) -> bytes:
    """The AudioSpecificConfig of AAC-LC. Raises ValueError (no rate of AAC)."""
    return _pack(2, _RATES.index(rate), channels)


def _pack(kind: int, rate: int, channels: int) -> bytes:
    return (kind << 11 | rate << 7 | channels << 3).to_bytes(2, "big")

"""What we look at in H.264 and H.265 byte streams: the parameter sets in front of a key frame.

Annex B form (ITU-T H.264 and H.265, annex B): NAL units between start codes. Slices are never parsed.
"""

from __future__ import annotations

from collections.abc import Iterator

_START = b"\x00\x00\x01"
# NAL unit types: H.264 table 7-1, H.265 table 7-1.
_SETS = {"h264": frozenset({7, 8}), "hevc": frozenset({32, 33, 34})}
_SEQUENCE = {"h264": frozenset({7}), "hevc": frozenset({32, 33})}


def nal_type(codec: str, first: int) -> int:
    """The type said by the first byte of a NAL unit."""
    return first & 0x1F if codec == "h264" else (first >> 1) & 0x3F


def _is_slice(codec: str, kind: int) -> bool:
    return 1 <= kind <= 5 if codec == "h264" else kind <= 31


def leading_nals(codec: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and bytes of the NAL units before the first slice."""
    at = data.find(_START)
    while at >= 0 and at + 3 < len(data):
        begin = at + 3
        kind = nal_type(codec, data[begin])
        if _is_slice(codec, kind):
            return
        at = data.find(_START, begin)
        end = len(data) if at < 0 else at
        yield kind, data[begin:end].rstrip(b"\x00")


def parameter_sets(codec: str, data: bytes) -> bytes:
    """Every parameter set in front of the first slice, in Annex B form; empty if there is none."""
    wanted = _SETS[codec]
    return b"".join(b"\x00" + _START + nal for kind, nal in leading_nals(codec, data) if kind in wanted)


def sequence_sets(codec: str, data: bytes) -> bytes:
    """What must stay the same for a decoder, or a file's header, to go on; each once, however often it is there.

    Cameras put them in front of some key frames twice: the encoder does, and so does who sends it.
    """
    wanted = _SEQUENCE[codec]
    return b"".join(dict.fromkeys(nal for kind, nal in leading_nals(codec, data) if kind in wanted))


def is_annex_b(extradata: bytes | None) -> bool:
    """Whether a stream with these global headers has start codes; avcC and hvcC begin with their version, 1."""
    return not extradata or extradata[0] != 1


def begins_anew(data: bytes) -> bool:
    """Whether the first slice of an H.264 picture is of an IDR picture."""
    at = data.find(_START)
    while at >= 0 and at + 3 < len(data):
        kind = nal_type("h264", data[at + 3])
        if _is_slice("h264", kind):
            return kind == 5
        at = data.find(_START, at + 3)
    return False

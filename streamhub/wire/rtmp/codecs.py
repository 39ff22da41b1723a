"""Which codecs are taken, by the first bytes of audio and video messages (FLV 10.1 Annex E, Enhanced RTMP v2)."""

from __future__ import annotations

VIDEO_FOURCC = {b"avc1": "H.264", b"hvc1": "H.265"}
AUDIO_FOURCC = {b"mp4a": "AAC", b".mp3": "MP3"}

_AVC = 7
_AUDIO_TAKEN = {2, 7, 8, 10, 14}  # MP3, G.711 A and µ, AAC, MP3 at 8 kHz
_EX_AUDIO = 9
_MULTITRACK_VIDEO, _MULTITRACK_AUDIO, _MOD_EX = 6, 5, 7
_COMMAND = 5  # a frame type: no picture in it

_LEGACY_VIDEO = {
    1: "JPEG",
    2: "Sorenson H.263",
    3: "Screen Video",
    4: "VP6",
    5: "VP6 with alpha",
    6: "Screen Video 2",
    8: "H.263",
    9: "MPEG-4 Part 2",
    12: "H.265 in its unofficial form (codec id 12; the official one is Enhanced RTMP, 'hvc1')",
    13: "AV1",
}
_LEGACY_AUDIO = {
    0: "PCM",
    1: "ADPCM",
    3: "PCM",
    4: "Nellymoser",
    5: "Nellymoser",
    6: "Nellymoser",
    11: "Speex",
    13: "Opus",
}
_OTHER_FOURCC = {
    b"av01": "AV1",
    b"vp08": "VP8",
    b"vp09": "VP9",
    b"vvc1": "H.266",
    b"Opus": "Opus",
    b"fLaC": "FLAC",
    b"ac-3": "AC-3",
    b"ec-3": "E-AC-3",
}


def refused_video(body: bytes) -> str | None:
    """The name of the codec of a video message if it is not taken. ``body`` is not empty."""
    first = body[0]
    if not first & 0x80:
        codec = first & 15
        return None if codec == _AVC or first >> 4 == _COMMAND else _LEGACY_VIDEO.get(codec, f"codec id {codec}")
    if first >> 4 & 7 == _COMMAND:
        return None
    return _refused_fourcc(body, first & 15, _MULTITRACK_VIDEO, VIDEO_FOURCC)


def refused_audio(body: bytes) -> str | None:
    """The same of an audio message."""
    codec = body[0] >> 4
    if codec == _EX_AUDIO:
        return _refused_fourcc(body, body[0] & 15, _MULTITRACK_AUDIO, AUDIO_FOURCC)
    return None if codec in _AUDIO_TAKEN else _LEGACY_AUDIO.get(codec, f"audio format {codec}")


def _refused_fourcc(body: bytes, packet: int, multitrack: int, taken: dict[bytes, str]) -> str | None:
    at = 1
    while packet == _MOD_EX:  # extensions in front: a size less one, their bytes, their type and the next packet type
        size = body[at] + 1 if at < len(body) else 0
        at += 1
        if size == 256:
            size = int.from_bytes(body[at : at + 2], "big") + 1
            at += 2
        at += size
        if at >= len(body):
            return "an unfinished header"
        packet = body[at] & 15
        at += 1
    if packet == multitrack:
        return "several tracks in one stream (multitrack)"
    fourcc = body[at : at + 4]
    if fourcc in taken:
        return None
    return _OTHER_FOURCC.get(fourcc) or f"FourCC '{fourcc.decode('ascii', 'backslashreplace')}'"

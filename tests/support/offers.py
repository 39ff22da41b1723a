"""Session descriptions as encoders write them, and a LiveKit answer to those of OBS."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "wire" / "offers"


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sdp").read_text("utf-8").replace("\n", "\r\n")


OBS_30 = _read("obs-30")
OBS_32_SIMULCAST = _read("obs-32-simulcast")
ANSWER = _read("answer")

"""What an app allows: one value, its changes, and its form in the database."""

# ruff: noqa: RUF009 - declared() makes the attrs field itself, not its default.

from __future__ import annotations

import functools
import json
from typing import Any

import attrs

from streamhub.model.access import ViewerLimits
from streamhub.services.fields import UNSET, Unset, between, declared

_CAMERAS = between(0, 100_000)
_FPS = between(1, 60)
_FRAME_KB = between(1, 8192)
_VIEWERS = between(0, 1_000_000)


@attrs.frozen
class WsIngest:
    """What the app's cameras may do."""

    enabled: bool = declared("Whether cameras may connect.", default=True)
    max_cameras: int = declared("Most cameras live at a time; 0 = no cap.", _CAMERAS, default=0)
    max_fps: int = declared("Most frames a second of one camera; more are dropped.", _FPS, default=15)
    max_frame_kb: int = declared("Largest frame, in KiB.", _FRAME_KB, default=256)


@attrs.frozen
class Features:
    """What an app allows."""

    public_playback: bool = declared("Whether anybody may watch; else a token is needed.", default=True)
    public_wall: bool = declared("Whether the app's live cameras are listed on the front page.", default=False)
    ws_ingest: WsIngest = declared("Limits of the cameras.", factory=WsIngest)
    max_viewers_per_room: int = declared("Most viewers of one room at a time; 0 = no cap.", _VIEWERS, default=0)
    max_viewers: int = declared("Most viewers of the app at a time; 0 = no cap.", _VIEWERS, default=0)

    @property
    def viewer_limits(self) -> ViewerLimits:
        """The caps on viewers."""
        return ViewerLimits(per_room=self.max_viewers_per_room, per_app=self.max_viewers)


@attrs.frozen
class WsIngestPatch:
    """Changes of ``WsIngest``; what is not sent stays."""

    enabled: bool | Unset = declared("Whether cameras may connect.", default=UNSET)
    max_cameras: int | Unset = declared("Most cameras live at a time; 0 = no cap.", _CAMERAS, default=UNSET)
    max_fps: int | Unset = declared("Most frames a second of one camera.", _FPS, default=UNSET)
    max_frame_kb: int | Unset = declared("Largest frame, in KiB.", _FRAME_KB, default=UNSET)


@attrs.frozen
class FeaturesPatch:
    """Changes of ``Features``; what is not sent stays."""

    public_playback: bool | Unset = declared("Whether anybody may watch.", default=UNSET)
    public_wall: bool | Unset = declared("Whether the live cameras are listed on the front page.", default=UNSET)
    ws_ingest: WsIngestPatch | Unset = declared("Limits of the cameras.", default=UNSET)
    max_viewers_per_room: int | Unset = declared("Most viewers of one room; 0 = no cap.", _VIEWERS, default=UNSET)
    max_viewers: int | Unset = declared("Most viewers of the app; 0 = no cap.", _VIEWERS, default=UNSET)


def changed(features: Features, patch: FeaturesPatch) -> Features:
    """The features after the patch."""
    given = _given(patch)
    camera = given.pop("ws_ingest", None)
    if camera is not None:
        given["ws_ingest"] = attrs.evolve(features.ws_ingest, **_given(camera))
    return attrs.evolve(features, **given)


def dump(features: Features) -> str:
    """The stored form."""
    return json.dumps(attrs.asdict(features), sort_keys=True)


@functools.lru_cache(maxsize=256)
def load(text: str) -> Features:
    """From the stored form; what a later version may have added is ignored, what is missing takes the default."""
    values = json.loads(text)
    camera = WsIngest(**_known(WsIngest, values.pop("ws_ingest", {})))
    return Features(**_known(Features, values), ws_ingest=camera)


def _given(patch: FeaturesPatch | WsIngestPatch) -> dict[str, Any]:
    return {name: v for name, v in attrs.asdict(patch, recurse=False).items() if v is not UNSET}


def _known(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    return {a.name: values[a.name] for a in attrs.fields(cls) if a.name in values}

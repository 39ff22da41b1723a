from __future__ import annotations

import json

from streamhub.services.features import Features, FeaturesPatch, WsIngestPatch, changed, dump, load


def test_load_when_dumped_then_the_same() -> None:
    features = changed(Features(), FeaturesPatch(public_wall=True, ws_ingest=WsIngestPatch(enabled=False)))
    assert load(dump(features)) == features


def test_load_when_older_or_newer_then_known_fields_and_defaults() -> None:
    stored = {"public_playback": False, "from_the_future": 1, "ws_ingest": {"max_fps": 3, "codec": "av1"}}
    features = load(json.dumps(stored))
    assert (features.public_playback, features.ws_ingest.max_fps) == (False, 3)
    assert features.ws_ingest.max_frame_kb == 256
    assert load("{}") == Features()


def test_changed_when_nothing_is_given_then_the_same() -> None:
    assert changed(Features(), FeaturesPatch()) == Features()
    assert changed(Features(), FeaturesPatch(ws_ingest=WsIngestPatch())) == Features()

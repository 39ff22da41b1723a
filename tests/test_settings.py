"""Settings from an environment that was made for other software of this kind."""

from __future__ import annotations

import pytest

from streamhub.errors import ConfigError
from streamhub.settings import describe, load_settings


@pytest.mark.parametrize(
    ("former", "ours"),
    [
        ("PUBLIC_BASE_URL", "STREAMHUB_PUBLIC_URL"),
        ("PUBLIC_WS_URL", "STREAMHUB_PUBLIC_WS_URL"),
        ("RTMP_PUBLIC_HOST", "STREAMHUB_PUBLIC_RTMP_URL"),
        ("METRICS_TOKEN", "STREAMHUB_METRICS_TOKEN"),
        ("STREAMHUB_JWT_SECRET", "STREAMHUB_ADMIN_TOKEN"),
        ("STREAMHUB_API_TOKEN", "STREAMHUB_ADMIN_TOKEN"),
    ],
)
def test_settings_when_a_former_name_is_there_then_refused_with_the_one_to_use(former: str, ours: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings({former: "something-of-16-letters"})
    assert former in refused.value.message
    assert ours in refused.value.hint
    assert "something" not in refused.value.message + refused.value.hint


def test_settings_when_the_new_name_is_there_too_or_the_former_is_empty_then_taken() -> None:
    both = {"PUBLIC_BASE_URL": "https://a.example", "STREAMHUB_PUBLIC_URL": "https://b.example", "METRICS_TOKEN": ""}
    assert load_settings(both).public_url == "https://b.example"


@pytest.mark.parametrize(
    "name", ["PORT", "HOST", "NODE_ENV", "DATA_DIR", "LOG_LEVEL", "REDIS_URL", "LIVEKIT_URL", "LIVEKIT_API_SECRET"]
)
def test_settings_when_a_name_may_be_another_programs_then_it_is_let_alone(name: str) -> None:
    assert load_settings({name: "something"}).sources["http_bind"] == "default"


EGRESS = {"STREAMHUB_EGRESS": "livekit"}
BASE_URL = {"STREAMHUB_EGRESS_BASE_URL": "https://cdn.example/hls/"}
BUCKET = {"STREAMHUB_EGRESS_S3_BUCKET": "tv"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (EGRESS, "STREAMHUB_EGRESS_BASE_URL"),
        ({**EGRESS, **BASE_URL}, "STREAMHUB_EGRESS_FOLDER"),
        ({**EGRESS, **BASE_URL, "STREAMHUB_EGRESS_FOLDER": "out"}, "STREAMHUB_EGRESS_FOLDER"),
        ({**EGRESS, **BASE_URL, "STREAMHUB_EGRESS_FOLDER": "/out/../etc"}, "egress_folder"),
        ({**EGRESS, **BASE_URL, **BUCKET, "STREAMHUB_EGRESS_S3_KEY": "a-key"}, "egress_s3_secret"),
        ({**BASE_URL, "STREAMHUB_EGRESS_BASE_URL": "ftp://cdn.example"}, "egress_base_url"),
    ],
)
def test_egress_when_something_is_missing_then_it_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(given)
    assert named in refused.value.message


def test_egress_when_complete_then_taken_and_its_secret_masked() -> None:
    keys = {"STREAMHUB_EGRESS_S3_KEY": "a-key", "STREAMHUB_EGRESS_S3_SECRET": "a-secret-key"}
    settings = load_settings({**EGRESS, **BASE_URL, **BUCKET, **keys})
    assert (settings.egress_base_url, settings.egress_folder) == ("https://cdn.example/hls", "")
    assert "a-secret-key" not in str(describe(settings))
    folder = load_settings({**EGRESS, **BASE_URL, "STREAMHUB_EGRESS_FOLDER": "/out/hls/"})
    assert folder.egress_folder == "/out/hls"

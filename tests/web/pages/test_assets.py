from pathlib import Path

import pytest

from streamhub.web.pages.assets import ASK_EACH_TIME, FOREVER, STATIC_DIR, load_assets


def test_assets_are_the_files_of_known_types_below_the_folder(tmp_path: Path):
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "secret.toml").write_text("2")
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "b.js").write_text("3")
    (tmp_path / "deep" / "deeper" / "c.js").write_text("4")
    assert list(load_assets(tmp_path).files) == ["a.js", "deep/b.js", "deep/deeper/c.js"]


def test_file_of_a_folder_is_found_with_and_without_the_version(tmp_path: Path):
    (tmp_path / "sdk").mkdir()
    (tmp_path / "sdk" / "b.js").write_text("1")
    assets = load_assets(tmp_path)
    assert assets.find(f"{assets.version}/sdk/b.js") == (assets.files["sdk/b.js"], FOREVER)
    assert assets.find("0123456789ab/sdk/b.js") == (assets.files["sdk/b.js"], ASK_EACH_TIME)
    assert assets.find("sdk/b.js") == (assets.files["sdk/b.js"], ASK_EACH_TIME)
    for path in ("b.js", "sdk", "sdk/", f"{assets.version}/b.js", f"x/{assets.version}/sdk/b.js", "../sdk/b.js/.."):
        assert assets.find(path) is None, path


def test_version_changes_when_a_file_moves_into_a_folder(tmp_path: Path):
    (tmp_path / "a.js").write_text("1")
    before = load_assets(tmp_path).version
    (tmp_path / "sdk").mkdir()
    (tmp_path / "a.js").rename(tmp_path / "sdk" / "a.js")
    assert load_assets(tmp_path).version != before


@pytest.mark.parametrize("built", [False, True])
def test_log_says_what_builds_the_missing_part(tmp_path: Path, capsys: pytest.CaptureFixture[str], built: bool):
    (tmp_path / "a.js").write_text("1")
    if built:
        (tmp_path / "sdk").mkdir()
        (tmp_path / "sdk" / "livekit-client.js").write_text("2")
    load_assets(tmp_path)
    assert ("scripts/sdk builds it" in capsys.readouterr().out) is not built


def test_version_changes_with_any_file(tmp_path: Path):
    (tmp_path / "a.js").write_text("1")
    before = load_assets(tmp_path)
    (tmp_path / "b.css").write_text("2")
    after = load_assets(tmp_path)
    assert before.version != after.version
    assert after.find(f"{after.version}/a.js") == (after.files["a.js"], FOREVER)
    assert after.find(f"{before.version}/a.js") == (after.files["a.js"], ASK_EACH_TIME)
    assert after.find("a.js") == (after.files["a.js"], ASK_EACH_TIME)
    assert after.find(f"x/{after.version}/a.js") is None


def test_our_static_folder_holds_small_files_only():
    for path in (p for p in STATIC_DIR.rglob("*") if p.is_file() and p.parent.name != "sdk"):
        assert len(path.read_text("utf-8").splitlines()) <= 250, path.name

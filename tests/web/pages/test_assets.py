from pathlib import Path

from streamhub.web.pages.assets import ASK_EACH_TIME, FOREVER, STATIC_DIR, load_assets


def test_assets_are_the_files_of_known_types_directly_in_the_folder(tmp_path: Path):
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "secret.txt").write_text("2")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.js").write_text("3")
    assert list(load_assets(tmp_path).files) == ["a.js"]


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
    for path in STATIC_DIR.iterdir():
        assert len(path.read_text("utf-8").splitlines()) <= 250, path.name

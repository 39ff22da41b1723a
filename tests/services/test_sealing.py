from __future__ import annotations

import threading
from pathlib import Path

import pytest

from streamhub.errors import StoreError
from streamhub.services.sealing import KEY_FILE, SecretBox, open_secret_box, write_private


def test_seal_then_open_gives_it_back_and_two_seals_differ() -> None:
    box = SecretBox(b"k" * 32)
    one, two = box.seal("hüter", "p"), box.seal("hüter", "p")
    assert one != two
    assert box.open(one, "p") == box.open(two, "p") == "hüter"
    assert "kkkk" not in repr(box)


@pytest.mark.parametrize(
    "spoil", [lambda s: s[:-1], lambda s: s[:5], lambda s: b"", lambda s: s[:-1] + bytes([s[-1] ^ 1])]
)
def test_open_when_spoiled_then_store_error(spoil: object) -> None:
    box = SecretBox(b"k" * 32)
    sealed = box.seal("secret", "p")
    with pytest.raises(StoreError):
        box.open(spoil(sealed), "p")  # type: ignore[operator]


def test_open_when_another_key_or_purpose_then_store_error() -> None:
    sealed = SecretBox(b"k" * 32).seal("secret", "p")
    for box, purpose in ((SecretBox(b"j" * 32), "p"), (SecretBox(b"k" * 32), "q")):
        with pytest.raises(StoreError) as caught:
            box.open(sealed, purpose)
        assert caught.value.code == "secret_key_mismatch"


def test_open_secret_box_when_opened_twice_then_the_same_key(tmp_path: Path) -> None:
    sealed = open_secret_box(tmp_path).seal("secret", "p")
    assert open_secret_box(tmp_path).open(sealed, "p") == "secret"


def test_open_secret_box_when_many_start_together_then_one_key(tmp_path: Path) -> None:
    boxes: list[SecretBox] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait(10)
        boxes.append(open_secret_box(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(boxes)) == 1
    assert [p.name for p in tmp_path.iterdir()] == [KEY_FILE]


def test_open_secret_box_when_the_file_is_cut_then_store_error(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(StoreError) as caught:
        open_secret_box(tmp_path)
    assert caught.value.code == "secret_key_damaged"


def test_write_private_when_it_exists_then_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert write_private(path, b"1") is True
    assert write_private(path, b"2") is False
    assert path.read_bytes() == b"1"
    assert path.stat().st_mode & 0o777 == 0o600


def test_write_private_when_the_folder_is_missing_then_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        write_private(tmp_path / "no" / "f", b"1")

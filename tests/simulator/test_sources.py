from __future__ import annotations

import io

import pytest
import trio
from PIL import Image

from streamhub.simulator.sources import Folder, Recompressed, Shared, SourceFailed
from tests.simulator.peer import Numbers


def jpeg(colour="red", size=(64, 48), quality=95):
    out = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


async def test_folder_when_read_then_gives_the_files_by_name_for_ever(tmp_path):
    for name in ("b.jpg", "a.JPG", "c.jpeg"):
        (tmp_path / name).write_bytes(b"\xff\xd8" + name.encode())
    (tmp_path / "notes.txt").write_text("x")
    folder = Folder(tmp_path)
    assert [(await folder.next_frame())[2:] for _ in range(5)] == [b"a.JPG", b"b.jpg", b"c.jpeg", b"a.JPG", b"b.jpg"]


async def test_folder_when_files_change_then_the_next_round_has_them(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 old")
    folder = Folder(tmp_path)
    assert await folder.next_frame() == b"\xff\xd8 old"
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 new")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8 more")
    assert [await folder.next_frame() for _ in range(2)] == [b"\xff\xd8 new", b"\xff\xd8 more"]


async def test_folder_when_a_file_is_no_jpeg_or_vanishes_then_passes_over_it(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8" + name.encode())
    (tmp_path / "b.jpg").write_bytes(b"GIF89a")
    folder = Folder(tmp_path)
    assert await folder.next_frame() == b"\xff\xd8a.jpg"
    (tmp_path / "c.jpg").unlink()
    assert await folder.next_frame() == b"\xff\xd8d.jpg"


@pytest.mark.parametrize("content", [None, b"GIF89a"])
async def test_folder_when_it_has_no_jpeg_then_fails_with_its_name(tmp_path, content):
    if content:
        (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(SourceFailed, match=f"no JPEG in {tmp_path}"):
        await Folder(tmp_path).next_frame()


async def test_folder_when_it_is_gone_then_fails(tmp_path):
    with pytest.raises(SourceFailed, match="cannot read"):
        await Folder(tmp_path / "none").next_frame()


async def test_folder_when_it_is_one_file_then_gives_it_again_and_again(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8")
    folder = Folder(tmp_path / "a.jpg")
    assert [await folder.next_frame() for _ in range(3)] == [b"\xff\xd8"] * 3


class Same(Numbers):
    """The same real JPEG again and again."""

    def __init__(self, frame):
        super().__init__()
        self.frame = frame

    async def next_frame(self):
        await trio.lowlevel.checkpoint()
        return self.frame


async def test_recompressed_when_quality_is_not_lowered_then_passes_frames_untouched():
    frame = jpeg()
    assert await Recompressed(Same(frame)).next_frame() is frame


async def test_recompressed_when_lowered_then_frames_shrink_and_keep_their_size_in_pixels():
    source = Recompressed(Same(jpeg()))
    sizes = [len(await source.next_frame())]
    while source.lower_quality():
        frame = await source.next_frame()
        sizes.append(len(frame))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 3
    with Image.open(io.BytesIO(frame)) as image:
        assert image.size == (64, 48)


async def test_recompressed_when_the_inner_source_can_do_it_then_leaves_it_to_it():
    source = Recompressed(Numbers(steps=1))
    assert source.lower_quality()
    assert source.quality is None


async def test_recompressed_when_a_frame_is_broken_then_fails():
    source = Recompressed(Same(b"\xff\xd8 nothing"))
    source.lower_quality()
    with pytest.raises(SourceFailed, match="cannot be decoded"):
        await source.next_frame()


async def test_shared_when_many_ask_within_a_slot_then_makes_one_frame(autojump_clock):
    source = Numbers()
    shared = Shared(source, fresh_s=0.09)
    frames = []

    async def ask():
        for _ in range(10):
            frames.append(await shared.next_frame())
            await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask)
    assert len(frames) == 500
    assert source.made == 10


async def test_shared_when_all_complain_of_one_frame_then_lowers_once(autojump_clock):
    source = Numbers(size=1000, steps=3)
    shared = Shared(source, fresh_s=10)
    await shared.next_frame()
    await trio.sleep(0.1)
    assert [shared.lower_quality() for _ in range(5)] == [True] * 5
    assert source.steps == 2
    assert len(await shared.next_frame()) == 500


async def test_shared_when_the_source_can_go_no_lower_then_says_so(autojump_clock):
    shared = Shared(Numbers(), fresh_s=10)
    await shared.next_frame()
    assert not shared.lower_quality()

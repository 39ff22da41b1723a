from __future__ import annotations

import io

import pytest
import trio

from streamhub.simulator.console import Console
from streamhub.simulator.fleet import BadKeyList, KeyRow, read_keys, run_fleet
from streamhub.simulator.sources import SourceFailed
from tests.simulator.peer import Numbers, options


def test_keys_when_listed_with_a_head_then_columns_are_found_by_name(tmp_path):
    path = tmp_path / "keys.csv"
    path.write_text("\ufeffid,Room,stream_key,app,wsUrl\nwsi_1,cam1,wsk_1,live,ws://h/x\n\nwsi_2,cam2, wsk_2 ,live,\n")
    assert read_keys(path) == [
        KeyRow("cam1", "wsk_1", "live", "ws://h/x"),
        KeyRow("cam2", "wsk_2", "live", ""),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("room\ncam1\n", "no column 'key'"),
        ("name,key\ncam1,wsk_secret\n", "no column 'room'"),
        ("room,key\n", "lists no key"),
        ("room,key\ncam1,wsk_secret\ncam2\n", "line 3 of .* lacks a room or a key"),
        ('room,key\n"cam1,wsk_secret\n', "is not CSV"),
    ],
)
def test_keys_when_the_list_is_bad_then_says_where_and_shows_no_key(tmp_path, text, words):
    path = tmp_path / "keys.csv"
    path.write_text(text)
    with pytest.raises(BadKeyList, match=words) as bad:
        read_keys(path)
    assert "wsk_secret" not in str(bad.value) + bad.value.hint
    assert "wsk_secret" not in repr(KeyRow("cam1", "wsk_secret"))


def test_keys_when_the_file_is_missing_or_no_text_then_says_so(tmp_path):
    with pytest.raises(BadKeyList, match="No such file"):
        read_keys(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadKeyList, match="not UTF-8"):
        read_keys(tmp_path / "x.csv")


class Failing(Numbers):
    async def next_frame(self):
        raise SourceFailed("no JPEG in x")


async def test_fleet_when_one_camera_fails_then_the_others_go_on(monkeypatch, autojump_clock):
    ran = []

    async def run_camera(options, source, *, report):
        await trio.sleep(5)
        await source.next_frame()
        ran.append(trio.current_time())

    monkeypatch.setattr("streamhub.simulator.fleet.run_camera", run_camera)
    failed = []
    sources = [Numbers(), Failing(), Numbers()]
    cameras = [(f"cam{n}", options(), source) for n, source in enumerate(sources)]
    await run_fleet(cameras, Console(io.StringIO(), screen=False), lambda *f: failed.append(f))
    assert [(name, str(exc)) for name, exc in failed] == [("cam1", "no JPEG in x")]
    # They started one after the other.
    assert ran[1] - ran[0] == pytest.approx(0.004)

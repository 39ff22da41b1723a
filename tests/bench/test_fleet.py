"""scripts/bench does what it says, with tiny numbers: no figure is judged here."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.native import build, load
from tests.bench.runs import FIGURES, Bench, apart, carries

ROOT = Path(__file__).parents[2]
SIZE = 300


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build()


def pattern(size: int) -> bytes:
    """The bytes of frame.h's frame_init."""
    x, made = 88172645463325252, bytearray()
    for _ in range(size):
        x ^= (x << 13) & (1 << 64) - 1
        x ^= x >> 7
        x ^= (x << 17) & (1 << 64) - 1
        made.append(0xFE if x & 0xFF == 0xFF else x & 0xFF)
    return bytes(made)


def picture(number: int, template: bytes) -> bytes:
    """A test picture as frame.h makes it, sent at second 1 of the clock."""
    sent = 1_000_000_000
    total = number ^ SIZE ^ (sent & 0xFFFFFFFF) ^ (sent >> 32) ^ 0x5BD1E995
    stamp = struct.pack("<IIQII", 0, number, sent, SIZE, total)
    begin = bytes.fromhex("ffd8ffe000104a46494600010100000100010000fffe0022") + b"BENCHJPG"
    head = begin + stamp + bytes.fromhex("ffc400040000ffda0008010100003f00")
    start = number * 104729 & 0xFFFF
    return head + template[start : start + SIZE - len(head) - 2] + b"\xff\xd9"


@contextmanager
def sending(pictures: list[bytes]) -> Iterator[int]:
    """A server that answers one viewer with these pictures; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(4096)
                link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for jpeg in pictures:
                    link.sendall(b"--x\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg))
                link.recv(4096)  # until it leaves

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(20)


def test_load_when_a_byte_is_wrong_then_it_is_counted() -> None:
    template = pattern(65536 + SIZE)
    good, bad, last = (picture(n, template) for n in range(3))
    bad = bad[:150] + bytes([bad[150] ^ 1]) + bad[151:]
    torn = last[:-1] + b"\0"
    found = {}
    for name, pictures in (("good", [good]), ("body", [good, bad]), ("end", [good, torn])):
        with sending(pictures) as port:
            found[name] = load(port, "-X", "-v", 1, "-u", "/", "-w", 0, "-d", 0.2)["bad"]
    assert found == {"good": 0, "body": 1, "end": 1}


def test_bench_when_run_with_tiny_numbers_then_every_row_is_there(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.bench.fleet", "--quick", "--seconds", "0.5", "--json", str(file)]
    done = subprocess.run([*command, "rooms"], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    assert [(row["case"], row["server"]) for row in figures["rows"][:2]] == [
        ("2 rooms × 5 viewers", "streamhub"),
        ("2 rooms × 5 viewers", "C limit, send"),
    ]
    ours = figures["rows"][0]
    assert ours["us_per_frame"] > 0
    assert ours["rounds"][0]["got"] > 0
    assert any(t["what"].startswith("CPU per frame") for t in figures["targets"])
    assert "| 2 rooms × 5 viewers" in done.stdout
    assert "not judged" in done.stdout  # a scaled-down run reaches and misses nothing


def test_bench_when_asked_for_an_unknown_case_then_it_names_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.fleet", "nothing"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "no such case: nothing; there are: viewers most" in done.stderr


def test_write_when_the_page_has_its_marks_then_only_what_is_between_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report.BEGIN in report.PAGE.read_text("utf-8")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    report.write("new")
    assert page.read_text() == f"before\n{report.BEGIN}\n\nnew\n{report.END}\nafter\n"


def test_runs_when_rounds_are_apart_or_somebody_is_lost_then_it_is_seen(tmp_path: Path) -> None:
    good = {"dead_viewers": 0, "dead_cameras": 0, "late": 0, "missed": 0.0, "p99_ms": 20.0}
    assert carries(good)
    for worse in ({"dead_viewers": 1}, {"late": 1}, {"missed": 0.02}, {"p99_ms": 300.0}):
        assert not carries(good | worse)
    assert apart([1.0, 1.0, 1.2]) == pytest.approx(0.2)
    bench = Bench(tmp_path)
    bench.target("x", 2.0, "≤ 1", False)
    assert "**missed**" in report.text(bench, "here")


def test_run_when_a_case_was_too_noisy_then_it_is_run_once_more_and_that_counts(tmp_path: Path) -> None:
    bench, careless, apart_by = Bench(tmp_path), Bench(tmp_path), iter([0.1, 0.5, 0.0, 0.6, 0.7, 0.8, 0.9])

    def one_case(on: Bench) -> None:
        last = 1 + next(apart_by)
        rounds = [{"viewers": 1, "cameras": 1, "skipped": 0} | dict.fromkeys(FIGURES, x) for x in (1.0, last)]
        on.keep("a case", "C limit, send", rounds, judged=on is not careless)

    for _ in range(3):  # quiet; noisy then quiet; noisy twice
        bench.run(one_case, float("inf"))
    bench.run(one_case)  # noisy, and no time for another
    assert [row["rounds"][1]["us_per_frame"] for row in bench.rows] == [1.1, 1.0, 1.7, 1.8]
    assert ["was run again" in note for note in bench.notes] == [True, True, False, False]
    careless.run(one_case, float("inf"))  # noisy, but compared with nothing
    assert [row["rounds"][1]["us_per_frame"] for row in careless.rows] == [1.9]

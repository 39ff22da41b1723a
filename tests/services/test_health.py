from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from streamhub.errors import ConfigError
from streamhub.livekit.server import LiveKit
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.ingress import IngressState
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.relays import FailingRelay, RelayCounts
from streamhub.model.streams import StreamStarted, StreamType
from streamhub.model.workers import WorkerCounts
from streamhub.services.bundle import Services
from streamhub.services.health import Check
from streamhub.services.stats import _memory
from streamhub.store import db as db_module
from tests.conftest import Clock
from tests.fakes.hub import FakeHub

Usage = namedtuple("Usage", "total used free")


async def check(services: Services, name: str) -> Check:
    found = {c.name: c for c in await services.health.checks()}
    return found[name]


async def test_checks_when_all_is_well_then_ok_and_what_is_not_built_says_so(services: Services) -> None:
    found = await services.health.checks()
    assert [(c.name, c.ok) for c in found] == [
        ("store", True),
        ("disk", True),
        ("clock", True),
        ("rooms", True),
        ("livekit", None),
        ("rtmp", None),
        ("relays", None),
    ]
    assert {c.detail for c in found if c.ok is None} == {
        "switched off",
        "this process runs none",
        "there is none: no WebRTC",
    }


@attrs.define
class Relays:
    found: RelayCounts

    def counts(self) -> RelayCounts:
        return self.found

    def activity(self, _ingress_id: str) -> None:
        return None


def failing(n: int, hint: str | None = None) -> FailingRelay:
    return FailingRelay(f"IN_{n}", RoomKey(AppName("live"), RoomName(f"live-{n}")), "no route to host", hint)


async def test_checks_when_relays_run_then_how_many_and_what_is_wrong_with_which(services: Services) -> None:
    services.relays.states = Relays(RelayCounts(0, 64, encoders=2))
    found = await check(services, "relays")
    assert (found.ok, found.detail, found.hint) == (True, "0 running of at most 64", "")
    rtmp = await check(services, "rtmp")
    assert (rtmp.ok, rtmp.detail) == (True, "listening on port 1935, 2 connected")
    states = {("live", IngressState.INACTIVE): 2, ("b", IngressState.INACTIVE): 1, ("b", IngressState.PUBLISHING): 3}
    bad = tuple(failing(n, None if n == 1 else f"Look at {n}.") for n in range(1, 6))
    services.relays.states = Relays(RelayCounts(3, 64, states, bad))
    found = await check(services, "relays")
    assert found.ok, "a camera that is switched off does not make the server ill"
    assert found.detail == (
        "3 running of at most 64, 3 waiting for viewers, 5 failing: live/live-1 (IN_1): no route to host;"
        " live/live-2 (IN_2): no route to host; live/live-3 (IN_3): no route to host; and 2 more"
    )
    assert found.hint == "Look at 2."
    services.relays.states = Relays(RelayCounts(64, 64))
    full = await check(services, "relays")
    assert (full.ok, full.detail) == (False, "64 running of at most 64")
    assert "next source is refused" in full.hint


async def test_checks_when_rtmp_is_off_or_its_port_was_taken_then_that(services: Services) -> None:
    services.relays.states = Relays(RelayCounts(0, 64))
    services.relays.rtmp_port = None
    assert (await check(services, "rtmp")).ok is None
    services.relays.rtmp_problem = ConfigError("port 1935 is in use", hint="Set STREAMHUB_RTMP_BIND.")
    found = await check(services, "rtmp")
    assert (found.ok, found.detail, found.hint) == (False, "port 1935 is in use", "Set STREAMHUB_RTMP_BIND.")


@pytest.mark.parametrize(
    ("version", "ok", "detail"),
    [
        ("1.13.5", True, "managed, version 1.13.5"),
        (None, True, "managed, version unknown"),
        ("1.8.4", False, "managed, 1.8.4: too old for WHIP and relays"),
    ],
)
async def test_checks_when_livekit_is_ready_then_its_version_is_told(
    services: Services, livekit_keys: LiveKitKeys, version: str | None, ok: bool, detail: str
) -> None:
    livekit = LiveKit(livekit_keys, managed=True)
    livekit.set_ready("http://127.0.0.1:1", version)
    found = {c.name: c for c in await attrs.evolve(services.health, livekit=livekit).checks()}["livekit"]
    assert (found.ok, found.detail) == (ok, detail)


async def test_checks_when_livekit_is_down_then_why_and_what_to_do(
    services: Services, livekit_keys: LiveKitKeys
) -> None:
    livekit = LiveKit(livekit_keys, managed=True)
    livekit.set_down("UDP port 7882 is in use", "Set STREAMHUB_RTC_UDP_PORT.")
    found = {c.name: c for c in await attrs.evolve(services.health, livekit=livekit).checks()}["livekit"]
    assert (found.ok, found.detail, found.hint) == (False, "UDP port 7882 is in use", "Set STREAMHUB_RTC_UDP_PORT.")


async def test_checks_when_the_store_is_locked_then_it_is_told(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_module, "BUSY_TIMEOUT_S", 0.01)
    await services.health.store.write(lambda db: db.execute("PRAGMA busy_timeout=10"))
    blocker = sqlite3.connect(services.health.store.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    found = await check(services, "store")
    blocker.close()
    assert found.ok is False
    assert "locked" in found.detail
    assert found.hint


@pytest.mark.parametrize(("free", "ok"), [(10_000_000, False), (10_000_000_000, True)])
async def test_checks_when_the_disk_is_nearly_full_then_it_is_told(
    services: Services, monkeypatch: pytest.MonkeyPatch, free: int, ok: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(20_000_000_000, 1, free))
    found = await check(services, "disk")
    assert (found.ok, bool(found.hint)) == (ok, not ok)


async def test_checks_when_the_data_folder_has_gone_then_the_disk_check_fails(services: Services) -> None:
    health = attrs.evolve(services.health, data_dir=Path("/nonexistent/folder"))
    assert {c.name: c.ok for c in await health.checks()}["disk"] is False


async def test_checks_when_the_clock_is_wrong_then_it_is_told(services: Services, wall: Clock) -> None:
    key = RoomKey(AppName("live"), RoomName("live-cam1"))
    event = StreamStarted(key, "live-cam1/c", StreamType.WS_MJPEG, "c", wall.now)
    await services.streams.ledger.apply(event)
    wall.now -= timedelta(minutes=4)
    assert (await check(services, "clock")).ok is True
    wall.now -= timedelta(minutes=2)
    assert "before the newest event" in (await check(services, "clock")).detail
    wall.now = datetime(1970, 1, 1, tzinfo=UTC)
    found = await check(services, "clock")
    assert (found.ok, "before this program was made" in found.detail) == (False, True)


async def test_checks_when_stopping_then_rooms_say_so(services: Services, fake_hub: FakeHub) -> None:
    fake_hub.go_live("live", "live-cam1")
    assert (await check(services, "rooms")).detail == "1 in memory, 1 with a source"
    health = attrs.evolve(services.health, stopping=lambda: True)
    assert {c.name: c.ok for c in await health.checks()}["rooms"] is False


async def test_stats_then_counts_are_those_of_rows_and_rooms(services: Services, fake_hub: FakeHub) -> None:
    fake_hub.go_live("live", "live-cam1", viewers=3)
    found = await services.stats.server()
    assert (found.apps, found.rooms, found.viewers, found.active_streams) == (2, 1, 3, 0)
    assert found.db_size_bytes > 4096
    assert found.disk is not None
    assert found.disk.total_bytes > found.disk.free_bytes


def test_memory_when_the_machine_does_not_tell_then_none(tmp_path: Path) -> None:
    assert _memory(tmp_path / "nothing") is None
    (tmp_path / "odd").write_text("MemTotal: many kB\n")
    assert _memory(tmp_path / "odd") is None
    (tmp_path / "good").write_text("MemTotal: 4 kB\nMemFree: 1 kB\nMemAvailable: 3 kB\n")
    found = _memory(tmp_path / "good")
    assert found is not None
    assert (found.total_bytes, found.free_bytes, found.used_bytes) == (4096, 3072, 1024)


@pytest.mark.parametrize(("wanted", "running", "ok"), [(2, 2, True), (2, 1, False)])
async def test_checks_when_viewer_workers_are_wanted_then_all_have_to_run(
    services: Services, wanted: int, running: int, ok: bool
) -> None:
    health = attrs.evolve(services.health, workers=lambda: WorkerCounts(wanted, running, 7, 0, 0.0, 3))
    (found,) = [c for c in await health.checks() if c.name == "viewer_workers"]
    assert (found.ok, found.detail) == (ok, f"{running} of 2 running with 7 viewers, 3 restarts")
    assert bool(found.hint) is not ok


async def test_checks_when_no_viewer_workers_are_wanted_then_nothing_is_said_of_them(services: Services) -> None:
    health = attrs.evolve(services.health, workers=lambda: WorkerCounts(0, 0, 0, 0, 0.0, 0))
    assert "viewer_workers" not in [c.name for c in await health.checks()]

"""Fixtures of the unit tests: a store run inline, rooms in a dict, a wall clock that stands still."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
import structlog

from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.access import Scope
from streamhub.observe.log import configure
from streamhub.observe.metrics import Metrics
from streamhub.services.apps import NewApp
from streamhub.services.bootstrap import DATABASE, first_run
from streamhub.services.bundle import Services, build_services
from streamhub.services.sealing import SecretBox
from streamhub.services.tokens import NewToken
from streamhub.store.db import Store, inline, open_store
from streamhub.web.app import Deps, create_app
from tests.fakes.api import Api
from tests.fakes.hub import FakeHub
from tests.fakes.ledger import DirectLedger


@attrs.define
class Clock:
    """A wall clock set by the test."""

    now: datetime = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def wall() -> Clock:
    return Clock()


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """Everything logged since the test began, in the form of a server without a terminal."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    configure("debug", "json")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(written))
    yield written.getvalue
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / DATABASE, runner=inline) as opened:
        yield opened


@pytest.fixture
def fake_hub(wall: Clock) -> FakeHub:
    return FakeHub(wall.now)


@pytest.fixture
def livekit_keys() -> LiveKitKeys:
    return LiveKitKeys("APItest", "a-livekit-secret-of-thirty-two-chars-or-more")


@pytest.fixture
async def services(store: Store, fake_hub: FakeHub, wall: Clock, livekit_keys: LiveKitKeys, tmp_path: Path) -> Services:
    """All services, with the first app ``live`` and a second one, ``other``."""
    built = build_services(
        store,
        fake_hub,
        DirectLedger(store),
        box=SecretBox(b"k" * 32),
        livekit=livekit_keys,
        data_dir=tmp_path,
        now=wall,
        hls=fake_hub,
    )
    await store.write(first_run, wall())
    await built.apps.create(NewApp(name="other"))
    return built


@pytest.fixture
async def admin_token(services: Services) -> str:
    return (await services.tokens.create(NewToken(name="admin", scope=Scope.GLOBAL))).secret


@pytest.fixture
def deps(services: Services, fake_hub: FakeHub, wall: Clock) -> Deps:
    return Deps(services=services, hub=fake_hub, metrics=Metrics(), version="1.2.3", now=wall)


@pytest.fixture
def api(deps: Deps, admin_token: str) -> Api:
    """The application, called by the admin unless the test says otherwise."""
    return Api(create_app(deps), admin_token)

"""``/apps``."""

from __future__ import annotations

from typing import Literal

import attrs

from streamhub.model.clock import iso_ms, sqlite_time
from streamhub.services.apps import App, AppPatch, NewApp
from streamhub.services.features import Features
from streamhub.services.fields import Page
from streamhub.web.auth import APP_READ, OWN_READ, SERVER_MANAGE
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route

MASKED = "***"


@attrs.frozen
class AppAnswer:
    id: int
    name: str
    display_name: str
    room_prefix: str
    livekit_room_prefix: str
    features: Features
    callback_url: str | None
    callback_secret: Literal["***"] | None
    created_at: str
    updated_at: str


@attrs.frozen
class DeletedApp:
    deleted: bool
    name: str


@attrs.frozen
class AppName:
    name: str
    display_name: str


@attrs.frozen
class RoomLine:
    room: str
    state: str
    viewers: dict[str, int]
    publishers: int
    started_at: str


@attrs.frozen
class AppLive:
    active_streams: int
    total_viewers: int
    rooms: tuple[RoomLine, ...]


@attrs.frozen
class AppStatsAnswer:
    ts: str
    app: AppName
    live: AppLive


def shown(app: App) -> AppAnswer:
    """An app as the API shows it: secrets masked."""
    return AppAnswer(
        id=app.id,
        name=app.name,
        display_name=app.display_name,
        room_prefix=app.room_prefix,
        livekit_room_prefix=app.room_prefix,
        features=app.features,
        callback_url=app.callback_url,
        callback_secret="***" if app.has_callback_secret else None,
        created_at=sqlite_time(app.created_at),
        updated_at=sqlite_time(app.updated_at),
    )


async def list_apps(deps: Deps, call: Call) -> Page[AppAnswer]:
    only = call.principal.app if call.principal else None
    page = await deps.services.apps.page(call.query, only)
    return Page([shown(a) for a in page.items], page.total, page.paging)


async def create_app(deps: Deps, call: Call) -> AppAnswer:
    new: NewApp = call.body
    return shown(await deps.services.apps.create(new))


async def get_app(_deps: Deps, call: Call) -> AppAnswer:
    return shown(call.loaded_app)


async def patch_app(deps: Deps, call: Call) -> AppAnswer:
    patch: AppPatch = call.body
    return shown(await deps.services.apps.patch(call.loaded_app, patch))


async def delete_app(deps: Deps, call: Call) -> DeletedApp:
    await deps.services.apps.delete(call.loaded_app)
    return DeletedApp(True, call.loaded_app.name)


async def app_stats(deps: Deps, call: Call) -> AppStatsAnswer:
    app = call.loaded_app
    rooms = deps.services.streams.rooms(app)
    return AppStatsAnswer(
        ts=iso_ms(deps.now()),
        app=AppName(app.name, app.display_name),
        live=AppLive(
            active_streams=len(rooms),
            total_viewers=sum(sum(r.viewers.values()) for r in rooms),
            rooms=tuple(RoomLine(r.room, r.state.value, r.viewers, r.publishers, iso_ms(r.started_at)) for r in rooms),
        ),
    )


ROUTES = (
    Route(
        method="GET",
        path="/apps",
        summary="Apps by name; a token of one app sees that one",
        auth=OWN_READ,
        handler=list_apps,
        answer=AppAnswer,
        paged=True,
    ),
    Route(
        method="POST",
        path="/apps",
        summary="Make an app",
        auth=SERVER_MANAGE,
        handler=create_app,
        body=NewApp,
        answer=AppAnswer,
        status=201,
        errors=(409,),
    ),
    Route(method="GET", path="/apps/<app>", summary="One app", auth=APP_READ, handler=get_app, answer=AppAnswer),
    Route(
        method="PATCH",
        path="/apps/<app>",
        summary="Change an app; what is not sent stays",
        auth=SERVER_MANAGE,
        handler=patch_app,
        body=AppPatch,
        answer=AppAnswer,
        errors=(409,),
    ),
    Route(
        method="DELETE",
        path="/apps/<app>",
        summary="Remove an app with its keys, tokens and streams; its cameras are disconnected",
        auth=SERVER_MANAGE,
        handler=delete_app,
        answer=DeletedApp,
    ),
    Route(
        method="GET",
        path="/apps/<app>/stats",
        summary="What the app's rooms are doing now",
        auth=APP_READ,
        handler=app_stats,
        answer=AppStatsAnswer,
    ),
)

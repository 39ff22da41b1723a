"""``/apps``."""

from __future__ import annotations

from streamhub.model.clock import iso_ms
from streamhub.services.apps import AppPatch, NewApp
from streamhub.services.fields import Page
from streamhub.web.api.shapes.apps import (
    AppAnswer,
    AppIngress,
    AppLive,
    AppName,
    AppStatsAnswer,
    DeletedApp,
    RoomLine,
    shown,
)
from streamhub.web.auth import APP_READ, OWN_READ, SERVER_MANAGE
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route


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
    total, active = await deps.services.ingress.counts(app.id)
    return AppStatsAnswer(
        ts=iso_ms(deps.now()),
        app=AppName(app.name, app.display_name),
        live=AppLive(
            active_streams=len(rooms),
            total_viewers=sum(sum(r.viewers.values()) for r in rooms),
            rooms=tuple(RoomLine(r.room, r.state.value, r.viewers, r.publishers, iso_ms(r.started_at)) for r in rooms),
        ),
        ingress=AppIngress(total, active),
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

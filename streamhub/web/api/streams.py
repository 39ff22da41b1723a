"""``/apps/<app>/streams``."""

from __future__ import annotations

from streamhub.services.fields import Page
from streamhub.web.api.shapes.streams import StreamAnswer, shown
from streamhub.web.auth import APP_MANAGE, APP_READ
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route


async def list_streams(deps: Deps, call: Call) -> Page[StreamAnswer]:
    page = await deps.services.streams.page(call.loaded_app, call.query)
    return Page([shown(s) for s in page.items], page.total, page.paging)


async def get_stream(deps: Deps, call: Call) -> StreamAnswer:
    return shown(await deps.services.streams.get(call.loaded_app, call.path["stream_id"]))


async def delete_stream(deps: Deps, call: Call) -> None:
    await deps.services.streams.delete(call.loaded_app, call.path["stream_id"])


# A stream id holds a slash. It may come as it is or as %2F: ASGI hands us the decoded path.
ROUTES = (
    Route(
        method="GET",
        path="/apps/<app>/streams",
        summary="Active streams, newest first",
        auth=APP_READ,
        handler=list_streams,
        answer=StreamAnswer,
        paged=True,
    ),
    Route(
        method="GET",
        path="/apps/<app>/streams/<path:stream_id>",
        summary="One stream, active or ended",
        auth=APP_READ,
        handler=get_stream,
        answer=StreamAnswer,
    ),
    Route(
        method="DELETE",
        path="/apps/<app>/streams/<path:stream_id>",
        summary="Disconnect the source of a stream",
        auth=APP_MANAGE,
        handler=delete_stream,
        status=204,
        errors=(503,),
    ),
)

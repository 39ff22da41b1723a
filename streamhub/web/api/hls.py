"""``/apps/<app>/streams/<id>/hls``. HLS also starts by itself, with the first request of its playlist."""

from __future__ import annotations

from streamhub.web.api.shapes.hls import HlsStarted, HlsStatus, HlsStopped, started, status, stopped
from streamhub.web.auth import APP_PUBLISH, APP_READ
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route


async def start_hls(deps: Deps, call: Call) -> HlsStarted:
    return started(await deps.services.hls.start(call.loaded_app, call.path["stream_id"]), call.base)


async def stop_hls(deps: Deps, call: Call) -> HlsStopped:
    return stopped(await deps.services.hls.stop(call.loaded_app, call.path["stream_id"]))


async def hls_status(deps: Deps, call: Call) -> HlsStatus:
    return status(await deps.services.hls.status(call.loaded_app, call.path["stream_id"]), call.base)


ROUTES = (
    Route(
        method="POST",
        path="/apps/<app>/streams/<path:stream_id>/hls/start",
        summary="Make HLS of the stream's room until told to stop",
        auth=APP_PUBLISH,
        handler=start_hls,
        answer=HlsStarted,
        status=201,
        errors=(503,),
    ),
    Route(
        method="POST",
        path="/apps/<app>/streams/<path:stream_id>/hls/stop",
        summary="End that order; who watches goes on",
        auth=APP_PUBLISH,
        handler=stop_hls,
        answer=HlsStopped,
    ),
    Route(
        method="GET",
        path="/apps/<app>/streams/<path:stream_id>/hls",
        summary="Whether the stream's room has an HLS playlist now",
        auth=APP_READ,
        handler=hls_status,
        answer=HlsStatus,
    ),
)

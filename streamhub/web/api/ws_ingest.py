"""``/apps/<app>/ws-ingest``: camera keys, and whether a room is live."""

from __future__ import annotations

from streamhub.errors import NotFound
from streamhub.model.access import Right
from streamhub.model.urls import RoomUrls
from streamhub.services.fields import Page
from streamhub.services.keys import NewKey
from streamhub.web.api.shapes.ws_ingest import (
    DeletedKey,
    KeyAnswer,
    LiveRoom,
    NewKeyAnswer,
    NoLiveRoom,
    shown,
    shown_new,
)
from streamhub.web.auth import APP_MANAGE, APP_PUBLISH, APP_READ, PUBLIC
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route


async def list_keys(deps: Deps, call: Call) -> Page[KeyAnswer]:
    page = await deps.services.keys.page(call.loaded_app, call.query)
    return Page([shown(k) for k in page.items], page.total, page.paging)


async def create_key(deps: Deps, call: Call) -> NewKeyAnswer:
    new: NewKey = call.body
    if new.stream_key is not None and call.principal is not None:
        # A chosen key may be one that is burnt into devices: only who manages the app decides about it.
        call.principal.require(Right.MANAGE, call.loaded_app.name)
    return shown_new(call.loaded_app, await deps.services.keys.create(call.loaded_app, new), call.base)


async def rotate_key(deps: Deps, call: Call) -> NewKeyAnswer:
    issued = await deps.services.keys.rotate(call.loaded_app, call.path["key_id"])
    return shown_new(call.loaded_app, issued, call.base)


async def revoke_key(deps: Deps, call: Call) -> DeletedKey:
    await deps.services.keys.revoke(call.loaded_app, call.path["key_id"])
    return DeletedKey(call.path["key_id"], True)


async def live_room(deps: Deps, call: Call) -> LiveRoom | NoLiveRoom:
    view = await deps.services.access.find_room(call.path["app"], call.path["room"])
    if view is None or not view.public:
        # The same answer for both: strangers do not learn which apps exist.
        raise NotFound("no public room of this name", code="room_not_found", hint="Check the app and room in the path.")
    status = deps.hub.status(view.key)
    if status is None or status.source is None:
        return NoLiveRoom(False, None, view.key.room)
    urls = RoomUrls(call.base, view.key)
    return LiveRoom(
        active=True,
        type=status.source.type,
        room=view.key.room,
        state=status.state.value,
        mjpeg_url=urls.mjpeg,
        frame_url=urls.frame,
        ws_url=urls.viewer_ws,
    )


ROUTES = (
    Route(
        method="GET",
        path="/apps/<app>/ws-ingest",
        summary="Camera keys, newest first, without their secrets",
        auth=APP_READ,
        handler=list_keys,
        answer=KeyAnswer,
        paged=True,
    ),
    Route(
        method="POST",
        path="/apps/<app>/ws-ingest",
        summary="Make a camera key; its secret is in this answer only",
        auth=APP_PUBLISH,
        handler=create_key,
        body=NewKey,
        answer=NewKeyAnswer,
        status=201,
        errors=(409,),
    ),
    Route(
        method="POST",
        path="/apps/<app>/ws-ingest/<key_id>/rotate",
        summary="Exchange the secret of a camera key; a camera on the old one is disconnected",
        auth=APP_MANAGE,
        handler=rotate_key,
        answer=NewKeyAnswer,
        status=201,
    ),
    Route(
        method="DELETE",
        path="/apps/<app>/ws-ingest/<key_id>",
        summary="Revoke a camera key; its camera is disconnected",
        auth=APP_MANAGE,
        handler=revoke_key,
        answer=DeletedKey,
    ),
    Route(
        method="GET",
        path="/apps/<app>/ws-ingest/live/<room>",
        summary="Whether a public room is live, and where to watch it",
        auth=PUBLIC,
        handler=live_room,
        answer=LiveRoom | NoLiveRoom,
        loads_app=False,
        errors=(404,),
    ),
)

"""``/apps/<app>/ingress``: sources that publish by a stream key, or are pulled."""

from __future__ import annotations

from streamhub.model.access import Right
from streamhub.model.names import RoomKey, RoomName
from streamhub.services.fields import Page
from streamhub.services.ingress_values import Ingress, IngressPatch, IngressQuery, NewIngress
from streamhub.web.api.shapes.ingress import DeletedIngress, IngressAnswer, NewIngressAnswer, shown, shown_new
from streamhub.web.api.shapes.probe import ProbeAnswer, shown_probe
from streamhub.web.auth import APP_MANAGE, APP_PUBLISH, APP_READ
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route


def _shown(deps: Deps, call: Call, one: Ingress) -> IngressAnswer:
    app = call.loaded_app
    return shown(app, one, call.base, deps.services.rooms.status(RoomKey(app.name, RoomName(one.room))))


async def list_ingress(deps: Deps, call: Call) -> Page[IngressAnswer]:
    page = await deps.services.ingress.page(call.loaded_app, call.query)
    return Page([_shown(deps, call, one) for one in page.items], page.total, page.paging)


async def create_ingress(deps: Deps, call: Call) -> NewIngressAnswer:
    new: NewIngress = call.body
    if new.stream_key is not None and call.principal is not None:
        # As with camera keys: only who manages the app decides about a chosen key.
        call.principal.require(Right.MANAGE, call.loaded_app.name)
    return shown_new(call.loaded_app, await deps.services.ingress.create(call.loaded_app, new), call.base)


async def probe_ingress(deps: Deps, call: Call) -> ProbeAnswer:
    return shown_probe(*await deps.services.ingress.probe(call.loaded_app, call.body))


async def get_ingress(deps: Deps, call: Call) -> IngressAnswer:
    one = await deps.services.ingress.get(call.loaded_app, call.path["ingress_id"])
    return _shown(deps, call, one)


async def patch_ingress(deps: Deps, call: Call) -> IngressAnswer:
    patch: IngressPatch = call.body
    one = await deps.services.ingress.patch(call.loaded_app, call.path["ingress_id"], patch)
    return _shown(deps, call, one)


async def rotate_ingress(deps: Deps, call: Call) -> NewIngressAnswer:
    issued = await deps.services.ingress.rotate(call.loaded_app, call.path["ingress_id"])
    return shown_new(call.loaded_app, issued, call.base)


async def delete_ingress(deps: Deps, call: Call) -> DeletedIngress:
    await deps.services.ingress.delete(call.loaded_app, call.path["ingress_id"])
    return DeletedIngress(call.path["ingress_id"], True)


ROUTES = (
    Route(
        method="GET",
        path="/apps/<app>/ingress",
        summary="Ingresses, newest first, without their stream keys",
        auth=APP_READ,
        handler=list_ingress,
        answer=IngressAnswer,
        query=IngressQuery,
        paged=True,
    ),
    Route(
        method="POST",
        path="/apps/<app>/ingress",
        summary="Make an ingress; the stream key of one that is pushed is in this answer only",
        auth=APP_PUBLISH,
        handler=create_ingress,
        body=NewIngress,
        answer=NewIngressAnswer,
        status=201,
        errors=(409, 503),
    ),
    Route(
        method="POST",
        path="/apps/<app>/ingress/test",
        summary="Look at a source before it is pulled: its codecs, a picture, what it would cost; nothing is stored",
        auth=APP_PUBLISH,
        handler=probe_ingress,
        body=NewIngress,
        answer=ProbeAnswer,
        errors=(422, 503),
    ),
    Route(
        method="GET",
        path="/apps/<app>/ingress/<ingress_id>",
        summary="One ingress",
        auth=APP_READ,
        handler=get_ingress,
        answer=IngressAnswer,
    ),
    Route(
        method="PATCH",
        path="/apps/<app>/ingress/<ingress_id>",
        summary="Change an ingress, or switch it on or off; switched off, its source is disconnected",
        auth=APP_MANAGE,
        handler=patch_ingress,
        body=IngressPatch,
        answer=IngressAnswer,
        errors=(409,),
    ),
    Route(
        method="POST",
        path="/apps/<app>/ingress/<ingress_id>/rotate",
        summary="Exchange the stream key of an ingress; a source on the old one is disconnected",
        auth=APP_MANAGE,
        handler=rotate_ingress,
        answer=NewIngressAnswer,
        status=201,
        errors=(409, 503),
    ),
    Route(
        method="DELETE",
        path="/apps/<app>/ingress/<ingress_id>",
        summary="Remove an ingress; its source is disconnected",
        auth=APP_MANAGE,
        handler=delete_ingress,
        answer=DeletedIngress,
    ),
)

"""``/apps/<app>/tokens`` and ``/apps/<app>/play-token``: ways into a LiveKit room."""

from __future__ import annotations

from streamhub.services.join_tokens import NewJoinToken
from streamhub.web.api.shapes.join_tokens import JoinTokenAnswer, PlayTokenAnswer, PlayTokenQuery, shown
from streamhub.web.auth import APP_PUBLISH, PUBLIC
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route


async def create_join_token(deps: Deps, call: Call) -> JoinTokenAnswer:
    new: NewJoinToken = call.body
    made = deps.services.join_tokens.create(call.loaded_app, new)
    return shown(made, new, call.base, deps.services.join_tokens.rules.ws_of(call.base))


async def play_token(deps: Deps, call: Call) -> PlayTokenAnswer:
    query: PlayTokenQuery = call.query
    made = await deps.services.join_tokens.play(call.path["app"], call.path["room"], query.token)
    ws_url = deps.services.join_tokens.rules.ws_of(call.base)
    return PlayTokenAnswer(made.token, made.room.app, made.room.room, ws_url, "viewer")


ROUTES = (
    Route(
        method="POST",
        path="/apps/<app>/tokens",
        summary="Mint a join token for a room",
        auth=APP_PUBLISH,
        handler=create_join_token,
        body=NewJoinToken,
        answer=JoinTokenAnswer,
        status=201,
    ),
    Route(
        method="GET",
        path="/apps/<app>/play-token/<room>",
        summary="A viewer's join token; in a private app ?token= must hold one that may watch",
        auth=PUBLIC,
        handler=play_token,
        query=PlayTokenQuery,
        answer=PlayTokenAnswer,
        loads_app=False,
        errors=(401, 404, 503),
    ),
)

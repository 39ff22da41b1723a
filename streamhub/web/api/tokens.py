"""``/tokens``."""

from __future__ import annotations

from streamhub.errors import NotFound
from streamhub.services.fields import Page
from streamhub.services.tokens import NewToken
from streamhub.web.api.shapes.tokens import NewTokenAnswer, TokenAnswer, shown, shown_new
from streamhub.web.auth import SERVER_MANAGE
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route


async def list_tokens(deps: Deps, call: Call) -> Page[TokenAnswer]:
    page = await deps.services.tokens.page(call.query)
    return Page([shown(t) for t in page.items], page.total, page.paging)


async def create_token(deps: Deps, call: Call) -> NewTokenAnswer:
    new: NewToken = call.body
    return shown_new(await deps.services.tokens.create(new))


async def revoke_token(deps: Deps, call: Call) -> None:
    text = call.path["token_id"]
    # Beyond SQLite's integers there is no token either.
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFound(f"token '{text[:40]}' not found", code="token_not_found")
    await deps.services.tokens.revoke(int(text))


ROUTES = (
    Route(
        method="GET",
        path="/tokens",
        summary="API tokens, newest first, without their secrets",
        auth=SERVER_MANAGE,
        handler=list_tokens,
        answer=TokenAnswer,
        paged=True,
    ),
    Route(
        method="POST",
        path="/tokens",
        summary="Make an API token; its secret is in this answer only",
        auth=SERVER_MANAGE,
        handler=create_token,
        body=NewToken,
        answer=NewTokenAnswer,
        status=201,
    ),
    Route(
        method="DELETE",
        path="/tokens/<token_id>",
        summary="Revoke an API token for good",
        auth=SERVER_MANAGE,
        handler=revoke_token,
        status=204,
        errors=(404, 409),
    ),
)

"""Routes of the pages and their files."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from quart import Blueprint, Response, render_template, request
from werkzeug.exceptions import NotFound

from streamhub.errors import NotFound as NotBuilt
from streamhub.model.urls import Base, RoomUrls
from streamhub.net.addresses import is_loopback_netloc, split_host
from streamhub.services.access import RoomView
from streamhub.web.pages.assets import ASK_EACH_TIME, BUILD_COMMAND, FIVE_MINUTES, SDK, Asset, Assets, load_assets
from streamhub.web.pages.deps import PagesDeps
from streamhub.web.pages.options import EmbedOptions, parse_embed_options
from streamhub.web.pages.policy import ANYBODY, OURSELVES, page_headers

ADAPTOR = f"{SDK}/streamhub-adaptor.global.js"
DEFAULT_PORT = 3020  # behind a proxy, whose port tells nothing about ours
ROBOTS = "User-agent: *\nDisallow: /\n"


def blueprint(pages: PagesDeps) -> Blueprint:
    """All page routes. Reads the static files (blocking): build it before serving.

    The app must be made with ``static_folder=None``, or its own static route hides ours.
    """
    bp = Blueprint("pages", __name__, template_folder="templates")
    assets = load_assets()

    @bp.get("/")
    async def front() -> Response:
        rooms = [(key, _short(key.app, key.room)) for key in await pages.public_rooms()]
        return await _page(assets, "front.html", rooms=rooms, on_loopback=is_loopback_netloc(_base().host))

    @bp.get("/play/<app>/<room>", strict_slashes=False)
    async def play(app: str, room: str) -> Response:
        found = await pages.find_room(app, room)
        if found is None:
            return await _page(assets, "not_found.html", status=404, app=app, room=room)
        return await _player(assets, "play.html", found, room, EmbedOptions(muted=False), pages)

    @bp.get("/embed/<app>/<room>", strict_slashes=False)
    async def embed(app: str, room: str) -> Response:
        found = await pages.find_room(app, room)
        if found is None:
            return await _page(assets, "not_found.html", status=404, ancestors=ANYBODY, app=app, room=room)
        return await _player(assets, "embed.html", found, room, parse_embed_options(request.args), pages)

    @bp.get("/studio/<app>/<room>", strict_slashes=False)
    async def studio(app: str, room: str) -> Response:
        found = await pages.find_room(app, room)
        if found is None:
            return await _page(assets, "not_found.html", status=404, app=app, room=room)
        key, base = found.key, _base()
        host, port = split_host(base.host) or (base.host, None)
        return await _page(
            assets,
            "studio.html",
            rtc_url=pages.rtc_url,
            devices=True,
            key=key,
            name=_short(key.app, room),
            own_host=host,
            port=port or DEFAULT_PORT,
        )

    @bp.get("/static/<path:path>")
    async def static_file(path: str) -> Response:
        found = assets.find(path)
        if found is None:
            raise NotFound
        return await _asset(*found)

    @bp.get("/sdk/streamhub-adaptor.global.js")
    async def adaptor() -> Response:
        """At an address for the pages of others, so without a version: asked for again after five minutes."""
        asset = assets.files.get(ADAPTOR)
        if asset is None:
            raise NotBuilt(
                "the browser SDK is not built in this checkout", hint=f"Run {BUILD_COMMAND}, then start again."
            )
        return await _asset(asset, FIVE_MINUTES)

    @bp.get("/favicon.ico")
    @bp.get("/favicon.svg")
    async def favicon() -> Response:
        return await _asset(assets.files["favicon.svg"], ASK_EACH_TIME)

    @bp.get("/robots.txt")
    async def robots() -> Response:
        return Response(ROBOTS, content_type="text/plain; charset=utf-8")

    return bp


def _base() -> Base:
    scope = cast("dict[str, Any]", request.scope)
    return cast("Base", scope["streamhub.peer"].base)


def _short(app: str, room: str) -> str:
    """The room as people call it: an app's prefix is its name unless somebody chose another."""
    return room.removeprefix(f"{app}-") or room


async def _player(
    assets: Assets, template: str, found: RoomView, room: str, options: EmbedOptions, pages: PagesDeps
) -> Response:
    key = found.key
    token = request.args.get("token", "")
    urls = RoomUrls(_base(), key)
    # Same origin, so relative: it works through any proxy, also when the public URL is another than the one used here.
    still = f"/live/{key.app}/{key.room}/mjpeg" + (f"?{urlencode({'token': token})}" if token else "")
    return await _page(
        assets,
        template,
        # The contract's pages may be framed by anybody; nobody is logged in here, so there is no click to steal.
        ancestors=ANYBODY if found.public else OURSELVES,
        rtc_url=pages.rtc_url,
        hls_origin=pages.hls_origin,
        key=key,
        name=_short(key.app, room),
        urls=urls,
        still=still,
        options=options,
        private=not found.public,
    )


async def _page(
    assets: Assets,
    template: str,
    *,
    status: int = 200,
    ancestors: str = OURSELVES,
    rtc_url: str | None = None,
    hls_origin: str | None = None,
    devices: bool = False,
    **values: object,
) -> Response:
    base = _base()
    values |= {"base": base, "static": f"/static/{assets.version}", "rtc_url": rtc_url or ""}
    html = await render_template(f"pages/{template}", **values)
    headers = page_headers(
        base,
        ancestors=ancestors,
        secret="token" in request.args,
        rtc_url=rtc_url,
        hls_origin=hls_origin,
        devices=devices,
    )
    return Response(html, status=status, headers=headers, content_type="text/html; charset=utf-8")


async def _asset(asset: Asset, cache: str) -> Response:
    body, tag = asset.body, asset.etag
    headers = {
        "Cache-Control": cache,
        "X-Content-Type-Options": "nosniff",
        # Scripts of a sandboxed iframe are asked for with the origin "null".
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    packed = asset.packs and request.accept_encodings.quality("gzip") > 0
    if asset.packs:
        headers["Vary"] = "Accept-Encoding"
    if packed:
        body, tag = await asset.packed()
    headers["ETag"] = tag
    # Weak comparison: a proxy that compresses turns the tag into a weak one.
    if request.if_none_match.contains_weak(tag.strip('"')):
        return Response(b"", status=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, content_type=asset.content_type)

"""The pages' HTML and headers, through Quart's test client."""

import gzip
import re
from types import SimpleNamespace

import pytest
from quart_trio import QuartTrio

from streamhub.model.names import ROOM_NAME, AppName, RoomKey, namespaced
from streamhub.model.urls import Base
from streamhub.services.access import RoomView
from streamhub.web import errors
from streamhub.web.pages import PagesDeps, blueprint, routes
from streamhub.web.pages.assets import load_assets

APPS = {"live": True, "backyard": False}


async def find_room(app: str, room: str) -> RoomView | None:
    if app not in APPS or not ROOM_NAME.fullmatch(room):
        return None
    return RoomView(RoomKey(AppName(app), namespaced(app, room)), APPS[app])


def make_app(
    *,
    base: Base = Base("https", "cam.example:8443"),
    rooms: tuple[RoomKey, ...] = (),
    rtc_url: str | None = None,
) -> QuartTrio:
    async def public_rooms() -> tuple[RoomKey, ...]:
        return rooms

    app = QuartTrio("pages", static_folder=None)
    app.register_blueprint(blueprint(PagesDeps(find_room, public_rooms, rtc_url)))
    inner = app.asgi_app

    async def with_peer(scope, receive, send):
        scope["streamhub.peer"] = SimpleNamespace(ip="192.0.2.1", base=base)
        await inner(scope, receive, send)

    app.asgi_app = with_peer
    return app


@pytest.fixture
def client():
    return make_app().test_client()


def directives(response) -> dict[str, str]:
    policy = response.headers["Content-Security-Policy"]
    return dict(part.strip().partition(" ")[::2] for part in policy.split(";"))


PAGES = ["/", "/play/live/cam1", "/embed/live/cam1", "/play/nope/cam1", "/embed/live/a%20b", "/studio/live/cam1"]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_a_policy_without_inline_anything(client, path):
    response = await client.get(path)
    rules = directives(response)
    html = await response.get_data(as_text=True)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert rules["connect-src"] == "'self' wss://cam.example:8443"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Frame-Options" not in response.headers
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", html)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)


@pytest.mark.parametrize(
    ("path", "ancestors"),
    [
        ("/embed/live/cam1", "* file:"),
        ("/embed/nope/cam1", "* file:"),
        ("/embed/backyard/cam1", "'self'"),
        ("/play/live/cam1", "* file:"),
        ("/play/backyard/cam1", "'self'"),
        ("/studio/live/cam1", "'self'"),
        ("/studio/backyard/cam1", "'self'"),
        ("/", "'self'"),
    ],
)
async def test_only_public_players_may_be_framed_by_others(client, path, ancestors):
    assert directives(await client.get(path))["frame-ancestors"] == ancestors


@pytest.mark.parametrize(
    ("rtc_url", "allowed"),
    [
        ("wss://lk.example", " wss://lk.example https://lk.example"),
        ("ws://10.0.0.2:7880", " ws://10.0.0.2:7880 http://10.0.0.2:7880"),
        ("wss://a;script-src b", ""),
    ],
)
async def test_players_may_reach_a_livekit_elsewhere_and_nothing_else_may(rtc_url, allowed):
    client = make_app(rtc_url=rtc_url).test_client()
    for path in ("/play/live/cam1", "/embed/live/cam1"):
        response = await client.get(path)
        assert directives(response)["connect-src"] == f"'self' wss://cam.example:8443{allowed}"
        assert f'data-rtc="{rtc_url}"' in await response.get_data(as_text=True)
    assert directives(await client.get("/"))["connect-src"] == "'self' wss://cam.example:8443"


@pytest.mark.parametrize("path", PAGES)
async def test_only_the_studio_may_ask_for_camera_microphone_and_screen(client, path):
    allowed = "(self)" if path.startswith("/studio") else "()"
    policy = (await client.get(path)).headers["Permissions-Policy"]
    assert policy == f"camera={allowed}, microphone={allowed}, display-capture={allowed}"


async def test_studio_may_reach_livekit_where_it_is():
    response = await make_app(rtc_url="wss://livekit.example:7880").test_client().get("/studio/live/cam1")
    allowed = "'self' wss://cam.example:8443 wss://livekit.example:7880 https://livekit.example:7880"
    assert directives(response)["connect-src"] == allowed
    assert 'data-rtc="wss://livekit.example:7880"' in await response.get_data(as_text=True)


async def test_studio_never_writes_the_token_of_its_address(client):
    response = await client.get("/studio/live/cam1?token=secret-token")
    assert "secret-token" not in await response.get_data(as_text=True)
    assert response.headers["Cache-Control"] == "private, no-store"


async def test_policy_of_a_host_that_could_end_a_directive_leaves_it_out():
    response = await make_app(base=Base("http", "a;script-src *")).test_client().get("/")
    assert directives(response)["connect-src"] == "'self'"
    assert directives(response)["script-src"] == "'self'"


@pytest.mark.parametrize(
    "path",
    [
        *("/play/nope/cam1", "/embed/nope/cam1", "/play/live/a%20b", "/play/live/" + "x" * 121),
        *("/studio/nope/cam1", "/studio/live/a%20b"),
    ],
)
async def test_page_of_an_unknown_room_is_404_and_says_what_to_do(client, path):
    response = await client.get(path)
    assert response.status_code == 404
    assert "Check the address" in await response.get_data(as_text=True)


async def test_not_found_page_escapes_the_names_of_the_address(client):
    html = await (await client.get("/play/%3Cb%3Ex/%22%3E%3Cscript%3E")).get_data(as_text=True)
    assert "<b>x" not in html
    assert '"><script>' not in html
    assert "&lt;b&gt;x" in html


@pytest.mark.parametrize("room", ["cam1", "live-cam1"])
async def test_play_page_offers_the_public_urls_of_the_room(client, room):
    html = await (await client.get(f"/play/live/{room}")).get_data(as_text=True)
    assert 'value="https://cam.example:8443/play/live/live-cam1"' in html
    assert 'value="https://cam.example:8443/live/live/live-cam1/mjpeg"' in html
    assert 'value="https://cam.example:8443/live/live/live-cam1/frame.jpg"' in html
    assert "&lt;iframe src=&#34;https://cam.example:8443/embed/live/live-cam1&#34;" in html
    assert "<h1>cam1</h1>" in html


async def test_token_goes_to_the_spare_picture_only_and_no_cache_keeps_the_page(client):
    token = 'se"cret&x'
    response = await client.get("/play/backyard/cam1", query_string={"token": token})
    html = await response.get_data(as_text=True)
    assert response.headers["Cache-Control"] == "private, no-store"
    assert 'src="/live/backyard/backyard-cam1/mjpeg?token=se%22cret%26x"' in html
    assert html.count("cret") == 1


async def test_play_page_of_a_private_app_tells_that_others_need_a_token(client):
    assert "camera is private" in await (await client.get("/play/backyard/cam1")).get_data(as_text=True)
    assert "camera is private" not in await (await client.get("/play/live/cam1")).get_data(as_text=True)


async def test_embed_label_is_escaped(client):
    label = '<img src=x onerror=alert(1)>"'
    html = await (await client.get("/embed/live/cam1", query_string={"label": label})).get_data(as_text=True)
    assert "<img src=x" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;&#34;") == 5  # title, names of both pictures, caption, label


async def test_embed_without_controls_has_no_buttons_over_the_picture(client):
    html = await (await client.get("/embed/live/cam1?controls=0&fit=cover")).get_data(as_text=True)
    assert 'id="bar"' not in html
    assert 'data-fit="cover"' in html


async def test_front_page_lists_nothing_unless_told(client):
    html = await (await client.get("/")).get_data(as_text=True)
    assert "/play/live/live-demo" not in html
    assert "Watch now" not in html
    assert "wss://cam.example:8443/ingest/ws?app=live&amp;room=cam1" in html
    assert "only this machine" not in html


async def test_front_page_links_public_rooms():
    room = RoomKey(AppName("live"), namespaced("live", "demo"))
    html = await (await make_app(rooms=(room,)).test_client().get("/")).get_data(as_text=True)
    assert 'href="/play/live/live-demo"' in html


@pytest.mark.parametrize("host", ["localhost:3020", "127.0.0.1:3020", "[::1]:3020"])
async def test_front_page_on_loopback_says_that_devices_cannot_use_this_address(host):
    html = await (await make_app(base=Base("http", host)).test_client().get("/")).get_data(as_text=True)
    assert "serve --lan" in html


async def test_scripts_and_styles_a_page_names_are_kept_for_ever(client):
    html = await (await client.get("/play/live/cam1")).get_data(as_text=True)
    named = set(re.findall(r'(?:src|href)="(/static/[^"#]+)', html))
    assert len(named) >= 5
    for path in named:
        response = await client.get(path)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[path.rpartition(".")[2]]
        assert response.headers["Content-Type"].startswith(kind)


async def test_static_file_without_its_version_is_asked_for_each_time(client):
    first = await client.get("/static/player.js")
    again = await client.get("/static/player.js", headers={"If-None-Match": "W/" + first.headers["ETag"]})
    other = await client.get("/static/player.js", headers={"If-None-Match": '"other"'})
    assert first.headers["Cache-Control"] == "public, no-cache"
    assert (again.status_code, await again.get_data()) == (304, b"")
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("accepted", "packed"), [("gzip, br", True), ("*", True), ("br, gzip;q=0", False), ("", False), (None, False)]
)
async def test_static_file_is_gzipped_for_who_takes_that_and_each_form_has_its_tag(client, accepted, packed):
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    response = await client.get("/static/player.js", headers=headers)
    plain = await client.get("/static/player.js")
    body = await response.get_data()
    assert response.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(body) if packed else body) == await plain.get_data()
    assert response.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert (response.headers["ETag"] != plain.headers["ETag"]) is packed
    assert response.headers["Content-Type"] == plain.headers["Content-Type"]
    if packed:
        assert len(body) * 2 < len(await plain.get_data())
    again = await client.get("/static/player.js", headers={**headers, "If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.headers["ETag"]) == (304, response.headers["ETag"])
    assert "Content-Encoding" not in again.headers


async def test_static_file_that_is_small_or_packed_already_comes_as_it_is(client):
    for path in ("/static/nomodule.js", "/static/favicon.svg"):
        response = await client.get(path, headers={"Accept-Encoding": "gzip"})
        assert response.status_code == 200
        assert "Content-Encoding" not in response.headers
        assert "Vary" not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/none.js",
        "/static/../pages/routes.py",
        "/static/%2e%2e/pages/routes.py",
        "/static/..%2fpages%2froutes.py",
        "/static/etc/passwd",
        "/static/x/y/player.js",
        "/static/player.js%00",
    ],
)
async def test_static_path_outside_the_folder_is_not_found(client, path):
    assert (await client.get(path)).status_code == 404


async def test_robots_are_sent_away_and_the_icon_is_there(client):
    assert await (await client.get("/robots.txt")).get_data(as_text=True) == "User-agent: *\nDisallow: /\n"
    icon = await client.get("/favicon.ico")
    assert icon.headers["Content-Type"].startswith("image/svg+xml")


async def test_sdk_script_is_for_pages_of_others_and_asked_for_again_after_five_minutes(client):
    response = await client.get("/sdk/streamhub-adaptor.global.js")
    again = await client.get("/sdk/streamhub-adaptor.global.js", headers={"If-None-Match": response.headers["ETag"]})
    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert b"var webrtc_adaptor=" in await response.get_data()
    assert again.status_code == 304


async def test_sdk_script_when_not_built_then_the_answer_names_the_command(tmp_path, monkeypatch):
    (tmp_path / "base.css").write_text("")
    monkeypatch.setattr(routes, "load_assets", lambda: load_assets(tmp_path))
    app = make_app()
    errors.register(app)
    response = await app.test_client().get("/sdk/streamhub-adaptor.global.js")
    body = await response.get_json()
    assert response.status_code == 404
    assert "not built" in body["message"]
    assert "scripts/sdk" in body["hint"]

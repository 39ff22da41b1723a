"""Every setting: its name, default, meaning and check. Read by ``main`` and ``cli`` alone; values are passed on.

Sources, strongest first: the environment (``STREAMHUB_HTTP_BIND``), then ``streamhub.toml`` (``http_bind``), then
the default. Unknown names are errors with a suggestion, so that a typing mistake never goes unnoticed.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import attrs

from streamhub.errors import ConfigError
from streamhub.model.durations import parse_duration

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
PREFIX = "STREAMHUB_"
# Variables of our own that are no settings of the server: the camera command's, and the set-up script's.
OTHERS = frozenset({"STREAMHUB_CAMERA_KEY", "STREAMHUB_PYTHON", "STREAMHUB_SETUP_NO_SYSTEM"})
# The original's names without a prefix, as far as no other program has them: PORT, HOST, DATA_DIR or LOG_LEVEL may be
# there for somebody else, and LIVEKIT_URL with its key and secret for LiveKit's own tools.
FORMER = {
    "PUBLIC_BASE_URL": "public_url",
    "PUBLIC_WS_URL": "public_ws_url",
    "RTMP_PUBLIC_HOST": "public_rtmp_url",
    "METRICS_TOKEN": "metrics_token",
}
# The original's names behind our prefix, and names people guess: what to use instead.
RENAMED = {
    "PORT": "http_bind",
    "HOST": "http_bind",
    "API_TOKEN": "admin_token",
    "DOMAIN": "public_url",
    "SITE_ADDRESS": "public_url",
    "JWT_SECRET": "admin_token",
    "APP_URL": "public_url",
    "DATA": "data_dir",
    **FORMER,
}
PAIRS = (
    ("tls_cert", "tls_key"),
    ("livekit_api_key", "livekit_api_secret"),
    ("egress_s3_key", "egress_s3_secret"),
)


@attrs.frozen
class Bind:
    """One place to listen: ``host`` and ``port`` (0 = a free one), or the ``path`` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""


def _networks(text: str) -> tuple[Network, ...]:
    words = [w.strip() for w in text.split(",") if w.strip()]
    nets: list[Network] = []
    for word in words:
        if word == "private":
            nets += map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
        else:
            nets.append(ipaddress.ip_network(word, strict=False))
    return tuple(nets)


def _binds(text: str) -> tuple[Bind, ...]:
    if text == "off":
        return ()
    out = []
    for word in (w.strip() for w in text.split(",")):
        if word.startswith("unix:") and len(word) > len("unix:"):
            out.append(Bind(path=word[len("unix:") :]))
            continue
        match = re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^:\[\]\s]+):(\d{1,5})", word)
        if not match or int(match[2]) > 65535:
            raise ValueError("expected HOST:PORT, [IPV6]:PORT or unix:PATH, several by comma")
        out.append(Bind(host=match[1].strip("[]"), port=int(match[2])))
    return tuple(out)


def _http_binds(text: str) -> tuple[Bind, ...]:
    binds = _binds(text)
    if not binds:
        raise ValueError("expected at least one address: the server is reached through it")
    return binds


def _url(*schemes: str, path: bool = False) -> Callable[[str], str]:
    def check(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError(f"expected {' or '.join(f'{s}://host' for s in schemes)}, without user, query or fragment")
        if parts.path not in ("", "/") and "rtmp" not in parts.scheme and not path:
            raise ValueError("expected no path: StreamHub answers at the root of its host")
        _ = parts.port  # raises ValueError for an impossible one
        return text.rstrip("/")

    return check


def _urls(*schemes: str) -> Callable[[str], str]:
    check = _url(*schemes)
    return lambda text: ",".join(check(word.strip()) for word in text.split(","))


def _folder(text: str) -> str:
    if ".." in text.split("/") or not text.isprintable() or "{" in text:
        raise ValueError("expected a path without '..' and '{'")
    return text.rstrip("/")


def _count(least: int, most: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not re.fullmatch(r"0|[1-9]\d{0,4}", text) or not least <= int(text) <= most:
            raise ValueError(f"expected a number, {least} to {most}")
        return int(text)

    return check


def _media_address(text: str) -> str:
    if text != "auto":
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise ValueError("expected 'auto' or an IP address, as clients reach it") from None
    return text


def _choice(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of: {', '.join(words)}")
        return text

    return check


def _admin_token(text: str) -> str:
    if not re.fullmatch(r"sk_[A-Za-z0-9_-]{29,200}", text):
        raise ValueError("expected 'sk_' and letters, digits, '_' or '-', 32 characters or more in all")
    return text


def _secret(least: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if len(text) < least:
            raise ValueError(f"expected {least} characters or more")
        return text

    return check


def _origins(text: str) -> tuple[str, ...]:
    words = tuple(w.strip().rstrip("/") for w in text.split(",") if w.strip())
    for word in words:
        if word != "*" and not re.fullmatch(r"https?://[^/\s]+", word):
            raise ValueError("expected '*' or origins such as https://ha.example, several by comma")
    return words


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError("no such file")
    return path


def _setting(default: str, parse: Callable[[str], Any], doc: str, *, secret: bool = False, unset: object = None) -> Any:
    return attrs.field(metadata={"default": default, "parse": parse, "doc": doc, "secret": secret, "unset": unset})


@attrs.frozen(kw_only=True)
class Settings:
    """The checked values. An empty text means unset and takes the default."""

    data_dir: Path = _setting("data", Path, "Folder of the database, the keys and the admin token.")
    http_bind: tuple[Bind, ...] = _setting(
        "127.0.0.1:3020",
        _http_binds,
        "Where HTTP listens: HOST:PORT or unix:PATH, several by comma. Port 0 = a free one.",
    )
    rtmp_bind: tuple[Bind, ...] = _setting(
        "127.0.0.1:1935",
        _binds,
        "Where RTMP listens, as http_bind; 'off' disables it. If the port is taken, all else works.",
    )
    tls_cert: Path | None = _setting("", _file, "Certificate chain (PEM); with tls_key, HTTP speaks TLS.")
    tls_key: Path | None = _setting("", _file, "Private key (PEM) of tls_cert.")
    trusted_proxies: tuple[Network, ...] = _setting(
        "127.0.0.0/8,::1",
        _networks,
        "Networks whose X-Forwarded-* and Forwarded headers are believed. Peers of a Unix socket always are.",
    )
    outbound_allow: tuple[Network, ...] = _setting(
        "private",
        _networks,
        "Networks beyond the public internet that pulls and callbacks may reach ('private' = RFC 1918 and ULA).",
    )
    public_url: str | None = _setting(
        "", _url("http", "https"), "Base of every URL we hand out; unset: taken from the request."
    )
    public_ws_url: str | None = _setting(
        "", _url("ws", "wss"), "LiveKit's WebSocket as clients reach it; unset: derived."
    )
    public_rtmp_url: str | None = _setting(
        "", _url("rtmp", "rtmps"), "RTMP server as encoders reach it; unset: derived."
    )
    cors_origins: tuple[str, ...] = _setting(
        "",
        _origins,
        "Origins whose pages may call the REST API from a browser: '*', or a list. Unset: none.",
        unset=(),
    )
    admin_token: str | None = _setting(
        "",
        _admin_token,
        "A fixed admin API token (sk_…, 32 characters or more); unset: one is made on first run.",
        secret=True,
    )
    metrics_token: str | None = _setting(
        "",
        _secret(16),
        "Bearer token for /metrics; unset: any API token with the right 'read' and global scope.",
        secret=True,
    )
    livekit_url: str | None = _setting(
        "", _urls("ws", "wss", "http", "https"), "An external LiveKit, its nodes by comma; unset: a managed one."
    )
    livekit_api_key: str | None = _setting("", _secret(3), "API key of that server; unset: made on first run.")
    livekit_api_secret: str | None = _setting(
        "", _secret(16), "API secret of that server; unset: made on first run.", secret=True
    )
    livekit_binary: str | None = _setting(
        "", str, "Path of livekit-server, or 'off'; unset: looked for on PATH and in the data folder's bin."
    )
    rtc_udp_port: int = _setting("7882", _count(0, 65535), "UDP port of the managed LiveKit's media (0 = a free one).")
    rtc_tcp_port: int = _setting("7881", _count(0, 65535), "TCP port of the managed LiveKit's media (0 = a free one).")
    media_address: str = _setting(
        "auto", _media_address, "IP address the managed LiveKit announces for media; 'auto': the one HTTP listens on."
    )
    join_ttl_publish: int = _setting("24h", parse_duration, "Longest life of a join token that may publish.")
    join_ttl_view: int = _setting("7d", parse_duration, "Longest life of a join token that may only watch.")
    ingress: str = _setting(
        "builtin",
        _choice("builtin", "livekit"),
        "Who takes new ingresses in: StreamHub itself, or LiveKit's service (RTMP, WHIP, URL; RTSP stays ours).",
    )
    egress: str = _setting(
        "builtin", _choice("builtin", "livekit"), "Who makes HLS: StreamHub itself, or LiveKit's egress service."
    )
    egress_base_url: str | None = _setting(
        "", _url("http", "https", path=True), "Where players find what LiveKit's egress service writes."
    )
    egress_folder: str = _setting(
        "", _folder, "Folder that service writes to, as it sees it; with a bucket: how names in it begin.", unset=""
    )
    egress_s3_bucket: str | None = _setting("", str, "Bucket that service uploads to, instead of a folder.")
    egress_s3_endpoint: str | None = _setting("", _url("http", "https"), "S3 service of the bucket; unset: Amazon's.")
    egress_s3_region: str | None = _setting("", str, "Region of the bucket.")
    egress_s3_key: str | None = _setting("", _secret(3), "Access key of the bucket; unset: the service's own.")
    egress_s3_secret: str | None = _setting("", _secret(8), "Secret of that access key.", secret=True)
    max_relays: int = _setting(
        "64",
        _count(1, 9999),
        "Most relays (RTMP, RTSP, addresses) at work at a time; one more is refused as too_many_relays.",
    )
    viewer_workers: int = _setting(
        "0",
        _count(0, 32),
        "Processes that send MJPEG to the viewers of large rooms, one for each core to spare; 0: none.",
    )
    log_level: str = _setting("info", _choice("debug", "info", "warning", "error"), "Least severe log line shown.")
    log_format: str = _setting("auto", _choice("auto", "text", "json"), "'auto': text in a terminal, JSON otherwise.")
    sources: Mapping[str, str] = attrs.field(factory=dict)
    texts: Mapping[str, str] = attrs.field(factory=dict)


def setting_names() -> list[str]:
    """Names of all settings, as in ``streamhub.toml``."""
    return [a.name for a in attrs.fields(Settings) if "parse" in a.metadata]


def describe(settings: Settings) -> list[dict[str, str]]:
    """One row a setting: name, env, value (secrets masked), source, default, doc."""
    rows = []
    for a in attrs.fields(Settings):
        if "parse" not in a.metadata:
            continue
        text = settings.texts[a.name]
        rows.append(
            {
                "name": a.name,
                "env": PREFIX + a.name.upper(),
                "value": "***" if text and a.metadata["secret"] else text,
                "source": settings.sources[a.name],
                "default": a.metadata["default"],
                "doc": a.metadata["doc"],
            }
        )
    return rows


def load_settings(env: Mapping[str, str], config: Path | None = None) -> Settings:
    """Settings from the environment over ``config`` (or ``./streamhub.toml`` if it exists). Raises ConfigError."""
    given: dict[str, tuple[str, str]] = {}
    if config is None and Path("streamhub.toml").is_file():
        config = Path("streamhub.toml")
    if config is not None:
        given |= {name: (text, str(config)) for name, text in _read_toml(config).items()}
    for key, text in env.items():
        if key.startswith(PREFIX) and key not in OTHERS and text != "":
            name = key[len(PREFIX) :].lower()
            _known(name, shown=key, as_env=True)
            given[name] = (text, key)
    for former, name in FORMER.items():
        if env.get(former, "") != "" and name not in given:
            raise ConfigError(
                f"{former} is set, and is not read here", hint=f"Set {PREFIX}{name.upper()} instead, or unset {former}."
            )
    return _build(given)


def _build(given: Mapping[str, tuple[str, str]]) -> Settings:
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    texts: dict[str, str] = {}
    for a in attrs.fields(Settings):
        if "parse" not in a.metadata:
            continue
        text, source = given.get(a.name, (a.metadata["default"], "default"))
        try:
            values[a.name] = a.metadata["parse"](text) if text != "" else a.metadata["unset"]
        except ValueError as exc:
            shown = "***" if a.metadata["secret"] else repr(text)
            raise ConfigError(f"setting {a.name} ({source}) is {shown}: {exc}", hint=a.metadata["doc"]) from None
        sources[a.name], texts[a.name] = source, text
    settings = Settings(**values, sources=sources, texts=texts)
    for one, other in PAIRS:
        if (values[one] is None) != (values[other] is None):
            raise ConfigError(f"settings {one} and {other} go together: set both or neither")
    if settings.egress == "livekit":
        _check_egress(settings)
    return settings


def _check_egress(settings: Settings) -> None:
    if settings.egress_base_url is None:
        raise ConfigError(
            "STREAMHUB_EGRESS=livekit needs STREAMHUB_EGRESS_BASE_URL",
            hint="Set it to where players find what the egress service writes: https://cdn.example/hls, for instance.",
        )
    if settings.egress_s3_bucket is None and not settings.egress_folder.startswith("/"):
        raise ConfigError(
            "STREAMHUB_EGRESS=livekit needs STREAMHUB_EGRESS_FOLDER (from the root: /out/hls) or"
            " STREAMHUB_EGRESS_S3_BUCKET",
            hint="The folder is one that the egress service writes to and a web server shares.",
        )


def _read_toml(path: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(
            f"cannot read {path}: {exc}", hint="Correct the file, or name another with --config."
        ) from None
    out = {}
    for name, value in table.items():
        _known(name, shown=f"{name} in {path}", as_env=False)
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            value = ",".join(cast("list[str]", value))
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ConfigError(f"setting {name} in {path}: expected a text, a number or a list of texts")
        if value != "":
            out[name] = str(value)
    return out


def _known(name: str, *, shown: str, as_env: bool) -> None:
    names = setting_names()
    if name in names:
        return
    guess = RENAMED.get(name.upper()) or next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.5)), None)
    spelled = (PREFIX + guess.upper() if as_env else guess) if guess else None
    raise ConfigError(
        f"unknown setting {shown}",
        hint=f"Did you mean {spelled}?" if spelled else "Run 'streamhub settings' for the list of settings.",
    )

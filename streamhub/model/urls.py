"""The public URLs of a room, built in one place from one base."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

import attrs

from streamhub.model.names import RoomKey


@attrs.frozen
class Base:
    """Where clients reach us: ``http`` or ``https`` and ``host[:port]``, no path."""

    scheme: str
    host: str

    @classmethod
    def of(cls, url: str) -> Base:
        """The base in ``https://host[:port]`` (checked by whoever took it in)."""
        scheme, _, host = url.partition("://")
        return cls(scheme, host)

    @property
    def http(self) -> str:
        """The base of pages and REST, without a slash at the end."""
        return f"{self.scheme}://{self.host}"

    @property
    def hostname(self) -> str:
        """The host without its port; an IPv6 address in brackets."""
        return self.host if self.host.endswith("]") else self.host.rpartition(":")[0] or self.host

    @property
    def ws(self) -> str:
        """The base of WebSockets, without a slash at the end."""
        return f"{'wss' if self.scheme == 'https' else 'ws'}://{self.host}"


def without_credentials(url: str) -> str:
    """The URL as it may be shown: three stars for user and password, and for the query."""
    parts = urlsplit(url)
    _, at, host = parts.netloc.rpartition("@")
    shown = parts._replace(netloc="***@" + host if at else host, query="***" if parts.query else "", fragment="")
    return shown.geturl()


def with_rtmp_app(url: str) -> str:
    """The RTMP server's URL with a path: encoders want an application, and ``live`` is what they expect."""
    return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/live"


@attrs.frozen
class RoomUrls:
    """Every URL of one room, as strings."""

    base: Base
    key: RoomKey

    def _path(self, head: str, tail: str = "") -> str:
        return f"{self.base.http}/{head}/{quote(self.key.app)}/{quote(self.key.room)}{tail}"

    @property
    def mjpeg(self) -> str:
        return self._path("live", "/mjpeg")

    @property
    def frame(self) -> str:
        return self._path("live", "/frame.jpg")

    @property
    def hls(self) -> str:
        return self._path("hls", "/index.m3u8")

    @property
    def play(self) -> str:
        return self._path("play")

    @property
    def embed(self) -> str:
        return self._path("embed")

    @property
    def studio(self) -> str:
        return self._path("studio")

    @property
    def viewer_ws(self) -> str:
        return f"{self.base.ws}/live/ws?{urlencode({'app': self.key.app, 'room': self.key.room})}"

    @property
    def ingest_ws(self) -> str:
        return f"{self.base.ws}/ingest/ws?{urlencode({'app': self.key.app, 'room': self.key.room})}"

    @property
    def iframe(self) -> str:
        return (
            f'<iframe src="{self.embed}" width="640" height="360" frameborder="0" '
            'allow="autoplay; fullscreen; camera; microphone" allowfullscreen></iframe>'
        )

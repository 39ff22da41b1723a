"""The address of a pulled source, as people write it: passwords with ``@``, ``:`` or ``#`` in them, raw or encoded."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import quote, unquote

import attrs

RTSP = ("rtsp", "rtsps")
HTTP = ("http", "https")
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
HIDDEN = "***"
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^\s:@\[\]/?#]+)(?::(\d{1,5}))?")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
# Some cameras take user and password in the path or query: /user=admin_password=x_channel=1_stream=0.sdp
_SECRET_IN_PATH = re.compile(r"(?i)(pass\w*?|pwd|psw|token|key|auth)=[^&/?]*?(?=$|[&/?]|_channel|_stream)")
# Others give each stream an address that nobody can guess: /fD6ouM72bWoFijxK
_RANDOM_IN_PATH = re.compile(r"(?<=/)(?=[^/]*\d)(?=[^/]*[a-z])(?=[^/]*[A-Z])[A-Za-z0-9]{14,}(?=/|$)")
_HARMLESS = re.compile(r"\d{1,2}")  # a channel, the number of a stream
_SAFE_IN_PATH = "/?%:@!$&'()*+,;=~[]"


@attrs.frozen(kw_only=True)
class SourceUrl:
    """``user`` and ``password`` are decoded. ``tail``: path and query, encoded, from its slash on."""

    scheme: str
    host: str
    port: int | None = None
    user: str | None = attrs.field(default=None, repr=False)
    password: str | None = attrs.field(default=None, repr=False)
    tail: str = attrs.field(default="/", repr=False)

    @property
    def full(self) -> str:
        """The URL as a player understands it, with its credentials encoded."""
        return self._joined(self._credentials, self.host)

    @property
    def shown(self) -> str:
        """The URL as it may be shown: no credentials, no values of the query but numbers of two digits."""
        path, mark, query = _SECRET_IN_PATH.sub(rf"\1={HIDDEN}", self.tail).partition("?")
        path = _RANDOM_IN_PATH.sub(HIDDEN, path)
        pairs = (pair.partition("=") for pair in query.split("&"))
        masked = "&".join(f"{k}={v if _HARMLESS.fullmatch(v) else HIDDEN}" if eq else HIDDEN for k, eq, v in pairs)
        at = f"{HIDDEN}@" if self.user is not None else ""
        return f"{self._head(at, self.host)}{path}{mark}{masked if mark else ''}"

    @property
    def effective_port(self) -> int:
        """The port, or the scheme's."""
        return self.port or PORTS[self.scheme]

    def at(self, address: str) -> str:
        """The full URL with that IP address in the place of its host."""
        return self._joined(self._credentials, address)

    @property
    def _credentials(self) -> str:
        if self.user is None:
            return ""
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"{quote(self.user, safe='')}{password}@"

    def _head(self, credentials: str, host: str) -> str:
        place = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{credentials}{place}{'' if self.port is None else f':{self.port}'}"

    def _joined(self, credentials: str, host: str) -> str:
        return self._head(credentials, host) + self.tail


def parse_source_url(text: str, schemes: tuple[str, ...] = RTSP + HTTP) -> SourceUrl:
    """The parts of the URL. Raises ValueError with what is wrong, without a word of what it holds.

    User and password end at the last ``@`` before the first ``/``.
    """
    scheme, separator, rest = text.strip().partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in schemes:
        raise ValueError("expected " + ", ".join(f"{s}://" for s in schemes))
    if not rest.isprintable():
        raise ValueError("expected no control characters")
    before, slash, behind = rest.partition("/")
    if "@" in before:
        credentials, _, authority = before.rpartition("@")
        authority, mark, query = _cut(authority, "?#")
        tail = mark + query + slash + behind
    else:
        credentials = None
        authority, mark, query = _cut(before, "?#")
        tail = mark + query + slash + behind
        if "@" in tail.partition("?")[0] and (":" in authority or "#" in mark):
            raise ValueError("write a '/' in the password as %2F, and an '@' in the path as %40")
    match = _AUTHORITY.fullmatch(authority)
    if match is None or (match[2] is not None and not 0 < int(match[2]) < 65536):
        raise ValueError("expected a host, and perhaps ':' and a port, behind '://' or the password")
    user, password = _split_credentials(credentials)
    return SourceUrl(
        scheme=scheme,
        host=_host(match[1]),
        port=None if match[2] is None else int(match[2]),
        user=user,
        password=password,
        tail=_tail(tail),
    )


def _cut(text: str, marks: str) -> tuple[str, str, str]:
    """The text before the first of the marks, that mark, and the rest."""
    place = min((found for mark in marks if (found := text.find(mark)) >= 0), default=len(text))
    return text[:place], text[place : place + 1], text[place + 1 :]


def _split_credentials(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    user, colon, password = text.partition(":")
    if HIDDEN in (user, password):
        raise ValueError(f"has '{HIDDEN}' where answers hide user and password: write them, or leave the url out")
    return _decoded(user), _decoded(password) if colon else None


def _decoded(text: str) -> str:
    """Decoded where it is encoded: a password such as ``100%`` stays what it is."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _host(text: str) -> str:
    if text.startswith("["):
        return str(IPv6Address(text[1:-1].replace("%25", "%", 1)))
    try:
        host = text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host):
        raise ValueError("expected a host name or an address")
    return host.lower()


def _tail(text: str) -> str:
    text = text.partition("#")[0]  # of the page, not of the source
    return quote(text if text.startswith("/") else f"/{text}", safe=_SAFE_IN_PATH)

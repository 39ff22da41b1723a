"""Every way a source or a sink can fail, as a message, a stable code and a hint; never with a password in it."""

from __future__ import annotations

import errno
import re
import sys
import traceback

import attrs
import av

# user:password@ of a URL (a password may hold an @ of its own), bearer tokens, and keys and tokens in a query.
_USERINFO = re.compile(r"(?<=://)[^\s/]*@|(?<=://)[^\s]*:[^\s]*@")
_BEARER = re.compile(r"(?i)(bearer\s+)\S+")
_QUERY = re.compile(r"(?i)([?&][^=\s&]*(?:key|token|pass|secret|auth|sig)[^=\s&]*=)[^&\s]+")


def mask(text: str) -> str:
    """The text without what must not be seen."""
    return _QUERY.sub(r"\1***", _BEARER.sub(r"\1***", _USERINFO.sub("***@", text)))


@attrs.frozen
class Failure(Exception):
    """To be raised, or told: ``error`` for a person, ``code`` for programs, ``hint`` what to do."""

    error: str
    code: str
    hint: str = ""

    def __str__(self) -> str:
        return self.error


_HTTP: tuple[tuple[str, str, str, str], ...] = (
    ("HTTPUnauthorizedError", "unauthorized", "the source wants another user name or password", "Check both."),
    ("HTTPForbiddenError", "forbidden", "the source does not let this user in", "Check the user's rights there."),
    ("HTTPNotFoundError", "not_found", "the source has nothing at this path", "Check the path of the address."),
    ("HTTPTooManyRequestsError", "busy", "the source has too many clients", "Close other viewers of it."),
    ("HTTPServerError", "server_error", "the source answers with an error of its own", "Look at its log."),
    ("HTTPClientError", "refused", "the source refuses the request", "Check the address, and the transport."),
)
_ERRNO = {
    errno.ECONNREFUSED: (
        "connection_refused",
        "nothing listens at this address",
        "Check host and port, and whether the source is switched on.",
    ),
    errno.ETIMEDOUT: ("timeout", "the source does not answer", "Check the address, and that the source is reachable."),
    errno.EHOSTUNREACH: ("unreachable", "there is no way to this host", "Check the address and the network."),
    errno.ENETUNREACH: ("unreachable", "there is no way to this network", "Check the address and the network."),
    errno.ECONNRESET: ("connection_lost", "the source closed the connection", "It is tried again."),
    errno.EPIPE: ("connection_lost", "the source closed the connection", "It is tried again."),
    errno.ENOSPC: ("disk_full", "no space is left on the disk", "Free some, or lower the cap of the HLS files."),
}


def unexpected(exc: BaseException) -> None:
    """A line or more on standard error for what nobody thought of."""
    sys.stderr.write(mask("".join(traceback.format_exception(exc))))


def failure_of(exc: BaseException, *, opened: bool) -> Failure:
    """What an exception of libav or the system means. ``opened``: the source had been delivering."""
    if isinstance(exc, Failure):
        return exc
    if "not on whitelist" in str(exc):  # libav has no error of its own for it, but adds its last words
        return Failure(
            "the source leads to an address of another kind, which is not followed",
            "forbidden_protocol",
            "Enter the address of the stream itself.",
        )
    for name, code, error, hint in _HTTP:
        kind = getattr(av.error, name, None)
        if kind is not None and isinstance(exc, kind):
            return Failure(error, code, hint)
    if isinstance(exc, (av.error.ExitError, TimeoutError)):
        if opened:
            return Failure("nothing has come from the source for too long", "stalled", "It is tried again.")
        return Failure("the source does not answer in time", "timeout", "Check the address, and that it is reachable.")
    number = getattr(exc, "errno", None)
    if number in _ERRNO:
        code, error, hint = _ERRNO[number]
        return Failure(error, code, hint)
    if isinstance(exc, av.error.InvalidDataError):
        if opened:
            return Failure("what the source sends cannot be read any more", "bad_data", "It is tried again.")
        return Failure(
            "this is no stream in a form that can be read",
            "unsupported_format",
            "Use RTSP, HLS, MJPEG over HTTP, or a file such as MP4, TS or MP3.",
        )
    if isinstance(exc, EOFError):
        return Failure("the source ended before anything came", "no_media", "Check that it sends something.")
    if isinstance(exc, OSError):
        return Failure(f"the source failed: {exc.strerror or type(exc).__name__}", "io_error", "It is tried again.")
    unexpected(exc)
    return Failure(f"the source failed ({type(exc).__name__})", "failed", "It is tried again; see the server's log.")

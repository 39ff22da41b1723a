"""Every error a person or a client can meet: one tree, each with a stable code, an HTTP status and a hint.

The answer body is the same everywhere: ``{"statusCode", "error", "message", "code", "hint", "fields"?}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import attrs


@attrs.frozen
class FieldProblem:
    """One bad field: where it is (``sources[1].fps``, wire names) and what was expected."""

    path: str
    message: str


class StreamHubError(Exception):
    """An error to be shown: ``message`` says what is wrong, ``hint`` what to do about it."""

    status: int = 500
    code: str = "internal_error"
    hint: str = "Try again; if it goes on, look into the server's log."

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        fields: Sequence[FieldProblem] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint or type(self).hint
        self.fields = tuple(fields)
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, object]:
        """The JSON object of an error answer."""
        out: dict[str, object] = {
            "statusCode": self.status,
            "error": HTTPStatus(self.status).phrase,
            "message": self.message,
            "code": self.code,
            "hint": self.hint,
        }
        if self.fields:
            out["fields"] = [{"path": f.path, "message": f.message} for f in self.fields]
        return out


class BadRequest(StreamHubError):
    status, code = 400, "bad_request"
    hint = "Correct the request and send it again."


class Invalid(BadRequest):
    """The body or query has bad fields; ``fields`` names every one of them."""

    code = "validation_failed"
    hint = "Correct the fields listed and send it again."


class Unauthorized(StreamHubError):
    status, code = 401, "unauthorized"
    hint = "Send 'Authorization: Bearer sk_…' with a valid API token."


class Forbidden(StreamHubError):
    status, code = 403, "forbidden"
    hint = "Use a token that has this right."


class NotFound(StreamHubError):
    status, code = 404, "not_found"
    hint = "Check the name in the path."


class MethodNotAllowed(StreamHubError):
    status, code = 405, "method_not_allowed"
    hint = "Use one of the methods in the Allow header."


class Conflict(StreamHubError):
    status, code = 409, "conflict"
    hint = "Choose another name, or change what is in the way."


class TooLarge(StreamHubError):
    status, code = 413, "too_large"
    hint = "Send less."


class TooMany(StreamHubError):
    status, code = 429, "rate_limited"
    hint = "Wait a moment and try again."


class Unavailable(StreamHubError):
    status, code = 503, "unavailable"
    hint = "Try again in a moment."


class ConfigError(StreamHubError):
    """A setting is wrong, or the machine lacks something: the server does not start (exit code 2)."""

    code = "bad_configuration"
    hint = "Run 'streamhub settings' to see every setting and where its value comes from."


class StoreError(StreamHubError):
    """The database cannot be used; ``hint`` says what to do."""

    status, code = 503, "store_failed"
    hint = "Check free disk space and the permissions of the data folder."

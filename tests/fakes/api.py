"""Calls the web application as Hypercorn would, without sockets."""

from __future__ import annotations

import json as json_module
from typing import Any

import attrs
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers

from streamhub.model.urls import Base
from streamhub.net.peers import Peer


@attrs.frozen
class Reply:
    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json_module.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def fields(self) -> dict[str, str]:
        return {f["path"]: f["message"] for f in self.json.get("fields", [])}


@attrs.frozen
class Api:
    """``await api("POST", "/apps", token=…, json=…)``; paths are below /api/v1 unless they start with '//'."""

    app: QuartTrio
    token: str | None = None
    ip: str = "192.0.2.7"
    base: Base = attrs.field(factory=lambda: Base("https", "hub.example"))

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
        ip: str | None = None,
    ) -> Reply:
        sent = Headers(headers or {})
        token = token if token is not None else self.token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if json is not None:
            body = json_module.dumps(json).encode()
            sent.setdefault("Content-Type", "application/json")
        answer = await self.app.test_client().open(  # type: ignore[call-arg]  # the Protocol knows no defaults
            path[1:] if path.startswith("//") else f"/api/v1{path}",
            method=method,
            headers=sent,
            data=body,
            scope_base={"streamhub.peer": Peer(ip or self.ip, self.base)},
        )
        return Reply(answer.status_code, answer.headers, await answer.get_data(as_text=False))

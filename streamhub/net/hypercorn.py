"""Hypercorn's own settings and log, as the front uses it."""

from __future__ import annotations

from hypercorn.config import Config

from streamhub.observe.log import get_logger

KEEP_ALIVE_S = 20.0
MOST_HEADER_BYTES = 32 * 1024


def hypercorn_config() -> Config:
    """Hypercorn's settings that matter to its connection handler; listeners and TLS are ours."""
    config = Config()
    config.accesslog = None
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.h11_max_incomplete_size = MOST_HEADER_BYTES
    config.logger_class = _HypercornLog  # type: ignore[assignment]
    return config


class _HypercornLog:
    """What Hypercorn's handler logs, in our logs. No access log: metrics count requests."""

    def __init__(self, _config: Config) -> None:
        self._log = get_logger("hypercorn")

    async def access(self, *_args: object) -> None:
        """Nothing."""

    async def exception(self, message: str, *args: object, **_kwargs: object) -> None:
        self._log.error(message % args if args else message, exc_info=True)

    async def warning(self, message: str, *args: object, **_kwargs: object) -> None:
        self._log.warning(message % args if args else message)

    error = info = debug = critical = warning

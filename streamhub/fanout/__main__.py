"""``python -m streamhub.fanout FD``: one viewer worker; started by the server alone, with its end of the channel."""

from __future__ import annotations

import signal
import socket
import sys

import trio

from streamhub.fanout.channel import Channel
from streamhub.fanout.worker import Worker
from streamhub.observe.memory import keep_what_is_there


def main() -> None:
    """Ends when the server does, however that ends."""
    # A service manager tells every process of a service at once; the server lets its viewers leave in order.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    keep_what_is_there()
    trio.run(Worker(channel).run)


if __name__ == "__main__":
    main()

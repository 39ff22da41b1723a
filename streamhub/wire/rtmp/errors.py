"""The one error of this package."""

from __future__ import annotations


class RtmpError(Exception):
    """The peer breaks the protocol or one of our limits; the connection is of no more use.

    The message holds nothing that the peer sent: it may be logged.
    """

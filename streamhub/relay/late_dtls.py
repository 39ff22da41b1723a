"""Keeps late handshake messages from libav's WHIP muxer (8.1), which they would slow down for good.

The muxer reads its UDP socket without waiting before it writes a packet. A DTLS message among what comes makes it
call its TLS layer, and that leaves the socket in waiting mode: from then on each write waits for the server to say
something, and a picture a second goes out. On a busy machine such messages are usual: the server repeats its last
flight when ours took long (RFC 6347 §4.2.4). Nobody needs them once keys are there, so the kernel drops them; alerts
still pass.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

CHANGE_CIPHER_SPEC, HANDSHAKE = 20, 22  # RFC 5246 §6.2.1
_SO_ATTACH_FILTER: Final = 26
_MOST_QUEUED: Final = 1000
# Classic BPF over a datagram, 8 bytes of UDP header and then the record's type: (code, if true, if false, value).
_PROGRAM: Final = (
    (0x30, 0, 0, 8),  # load that byte
    (0x15, 2, 0, CHANGE_CIPHER_SPEC),
    (0x15, 1, 0, HANDSHAKE),
    (0x06, 0, 0, 0xFFFFFFFF),  # take all of it
    (0x06, 0, 0, 0),  # take nothing
)


def ignore_late_dtls() -> int:
    """Drop such messages on all datagram sockets of this process, what waits there already too; how many sockets.

    To be called when the handshake is over. Where the kernel has no filters, nothing is done.
    """
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own descriptor is closed; others are no sockets
            with socket.socket(fileno=os.dup(int(entry.name))) as sock:
                if sock.type & socket.SOCK_DGRAM == socket.SOCK_DGRAM and sock.family in (
                    socket.AF_INET,
                    socket.AF_INET6,
                ):
                    _filter(sock)
                    found += 1
    return found


def _filter(sock: socket.socket) -> None:
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _PROGRAM))
    address = struct.pack("@HP", len(_PROGRAM), ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, address)
    for _ in range(_MOST_QUEUED):  # STUN and reports among them are sent again
        try:
            sock.recv(2048, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return

"""A proxy for LiveKit's media ports that can be told to drop everything, and the script that leads a page to it."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs

# Every candidate of the server gets the proxy's port; the page's own are not told, so that there is no way around it.
REWRITE = """
(() => {
    const ports = %s;
    const rewrite = (text) => text && text.replace(
        /(candidate:\\S+ \\d+ )(udp|tcp)( \\d+ \\S+ )(\\d+)/gi,
        (_, head, kind, middle, port) => head + kind + middle + (ports[kind.toLowerCase() + port] || port));
    const peer = RTCPeerConnection.prototype;
    const {addIceCandidate, setRemoteDescription} = peer;
    window.peers = [];
    peer.addIceCandidate = function (candidate, ...more) {
        const init = candidate && (candidate.toJSON ? candidate.toJSON() : {...candidate});
        if (init) init.candidate = rewrite(init.candidate);
        return addIceCandidate.call(this, init, ...more);
    };
    peer.setRemoteDescription = function (description) {
        if (!window.peers.includes(this)) window.peers.push(this);
        return setRemoteDescription.call(this, {type: description.type, sdp: rewrite(description.sdp)});
    };
    // The protocol by which media comes now.
    window.protocol = async () => {
        for (const one of window.peers) {
            const stats = [...(await one.getStats()).values()];
            const transport = stats.find((s) => s.type === 'transport' && s.selectedCandidatePairId);
            const pair = transport && stats.find((s) => s.id === transport.selectedCandidatePairId);
            const remote = pair && stats.find((s) => s.id === pair.remoteCandidateId);
            if (remote && stats.some((s) => s.type === 'inbound-rtp' && s.bytesReceived)) return remote.protocol;
        }
        return null;
    };
})();
"""


@attrs.define(eq=False)
class MediaProxy:
    """Carries UDP and TCP to LiveKit's ports, one thread for all. ``drop_udp``, ``drop_tcp``: carry nothing."""

    udp: int
    tcp: int
    drop_udp: bool = False
    drop_tcp: bool = False
    _selector: selectors.DefaultSelector = attrs.field(factory=selectors.DefaultSelector)
    _front: socket.socket = attrs.field(init=False)
    _listener: socket.socket = attrs.field(init=False)
    _clients: dict[tuple[str, int], socket.socket] = attrs.field(factory=dict)
    _stop: bool = False

    def __attrs_post_init__(self) -> None:
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector.register(self._front, selectors.EVENT_READ, self._from_client)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    @property
    def script(self) -> str:
        """For ``add_init_script``."""
        ports = {f"udp{self.udp}": self._front.getsockname()[1], f"tcp{self.tcp}": self._listener.getsockname()[1]}
        return REWRITE % ports

    def run(self) -> None:
        while not self._stop:
            for key, _ in self._selector.select(0.2):
                with contextlib.suppress(OSError):
                    key.data(key.fileobj)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _from_client(self, front: socket.socket) -> None:
        data, address = front.recvfrom(65536)
        if self.drop_udp:
            return
        if address not in self._clients:
            back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect(("127.0.0.1", self.udp))
            self._clients[address] = back
            self._selector.register(back, selectors.EVENT_READ, lambda sock: self._to_client(sock, address))
        self._clients[address].send(data)

    def _to_client(self, back: socket.socket, address: tuple[str, int]) -> None:
        data = back.recv(65536)
        if not self.drop_udp:
            self._front.sendto(data, address)

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", self.tcp), timeout=5)
        for one, other in ((client, server), (server, client)):
            one.settimeout(5)
            self._selector.register(one, selectors.EVENT_READ, lambda sock, other=other: self._carry(sock, other))

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            data = source.recv(65536)
            if data and not self.drop_tcp:  # dropped as a firewall does: the connection stays and says nothing
                target.sendall(data)
        except OSError:
            data = b""
        if not data:
            for one in (source, target):
                self._selector.unregister(one)
                one.close()


@contextlib.contextmanager
def media_proxy(data_dir: Path) -> Iterator[MediaProxy]:
    """A proxy to the media ports of the livekit-server that this data folder's server manages."""
    config = (data_dir / "livekit.yaml").read_text()
    udp, tcp = (int(re.findall(rf'"{kind}_port": (\d+)', config)[0]) for kind in ("udp", "tcp"))
    proxy = MediaProxy(udp, tcp)
    thread = threading.Thread(target=proxy.run)
    thread.start()
    try:
        yield proxy
    finally:
        proxy._stop = True
        thread.join()

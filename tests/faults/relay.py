"""A way to a server that can be shut and opened again, while the server goes on."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

HOST = "127.0.0.1"
_PIECE = 65_536


class Relay:
    """Hands on TCP connections from a port of its own to that of a server."""

    def __init__(self, target: int) -> None:
        """Lead to *target*, a port of this machine."""
        self._target = target
        self._open = False
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self._serve()

    def __enter__(self) -> Self:
        """Return itself, open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Shut it."""
        self.shut()

    @property
    def environment(self) -> dict[str, str]:
        """What makes AWS clients come this way."""
        return {"AWS_ENDPOINT_URL": f"http://{HOST}:{self.port}"}

    def shut(self) -> None:
        """Refuse connections and cut those there are."""
        with self._lock:
            self._open = False
            sockets, self._sockets = self._sockets, set()
        for each in (self._listening, *sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def open(self) -> None:
        """Take connections again, on the same port."""
        self._listening = socket.create_server((HOST, self.port))
        self._serve()

    def _serve(self) -> None:
        self._open = True
        threading.Thread(target=self._accept, args=[self._listening], daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                server = socket.create_connection((HOST, self._target))
                with self._lock:
                    if self._open:
                        self._sockets |= {client, server}
                    else:
                        client.close()
                        server.close()
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(_PIECE):
                other.sendall(piece)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            with self._lock:
                self._sockets.discard(each)

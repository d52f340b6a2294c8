"""A TCP proxy in front of a server, for the faults that a real network has: a lost reply, a silent peer, a cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self


class Proxy:
    """Forwards one loopback port to another; told to, it loses things on the way."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[_Connection] = []
        self._lock = threading.Lock()
        self.armed: bytes | None = None
        self.lost = 0
        self.silent = False
        self.swallowed = b""
        self.swallows = 0
        self._burying = False
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_reply_to(self, command: bytes) -> None:
        """Let the next request that holds *command* reach the server, and cut the connection instead of replying."""
        self.armed = command

    def take_armed(self, request: bytes) -> bool:
        """Whether *request* is the one whose reply is to be lost."""
        with self._lock:
            if self.armed is not None and self.armed in request:
                self.armed = None
                self.lost += 1
                return True
            return False

    def swallow(self, word: bytes) -> None:
        """Let no message of the server's reach a client that holds *word*; the connection stays."""
        self.swallowed = word

    def takes(self, message: bytes) -> bool:
        """Whether a message of the server's is lost here."""
        if not self.swallowed or self.swallowed not in message:
            return False
        self.swallows += 1
        return True

    def cut(self) -> None:
        """Cut all connections there are."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def bury(self) -> None:
        """Let all connections there are swallow what they are given, for good and without a word; so do new ones."""
        with self._lock:
            self._burying = True
            for connection in self._connections:
                connection.dead = True

    def stop_burying(self) -> None:
        """Let new connections work again. The buried ones stay half-open: neither end hears of the other's end."""
        with self._lock:
            self._burying = False

    def close(self) -> None:
        """Cut everything, and accept no more."""
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._upstream))
            except OSError:
                client.close()
                continue
            connection = _Connection(self, client, server)
            with self._lock:
                connection.dead = self._burying
                self._connections.append(connection)
            connection.start()


class _Connection:
    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._loses_reply = False
        self.dead = False

    def start(self) -> None:
        threading.Thread(target=self._pump, args=(self._client, self._server, True), daemon=True).start()
        threading.Thread(target=self._pump, args=(self._server, self._client, False), daemon=True).start()

    def close(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pump(self, source: socket.socket, target: socket.socket, upstream: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._proxy.silent or self.dead or (not upstream and self._proxy.takes(data)):
                    continue
                if upstream and self._proxy.take_armed(data):
                    self._loses_reply = True
                elif not upstream and self._loses_reply:
                    break
                target.sendall(data)
        if not self.dead:
            self.close()

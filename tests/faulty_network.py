"""A network that fails: a listener that never answers, a line that is cut while it carries something."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Self

LOOPBACK: Final = "127.0.0.1"
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER without a wait: closing sends RST

Direction = Literal["request", "response"]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a connection is reset.

    Attributes:
        direction: Of the bytes that are counted.
        after: So many of them still pass.
    """

    direction: Direction
    after: int


@contextlib.contextmanager
def silent_listener(port: int = 0) -> Iterator[int]:
    """A port on which the kernel takes connections and bytes, and nobody ever reads or answers."""
    with socket.create_server((LOOPBACK, port)) as listener:
        yield int(listener.getsockname()[1])


class CutLine:
    """Carries connections to a port on loopback, and resets each in which too much has passed.

    Args:
        port: Where connections are carried to.
    """

    def __init__(self, port: int) -> None:
        self.cut: Cut | None = None
        """Of connections that are made from now on; None lets everything pass."""
        self.resets = 0
        self._target = port
        self._listener = socket.create_server((LOOPBACK, 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        """The line, ready."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all connections and wait for their threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(30)
        self._listener.close()
        with self._lock:
            ends = list(self._open)
        for end in ends:
            _shut(end)
        for thread in self._threads:
            thread.join(30)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((LOOPBACK, self._target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            self._threads.append(threading.Thread(target=self._connection, args=(client, server)))
            self._threads[-1].start()

    def _connection(self, client: socket.socket, server: socket.socket) -> None:
        cut, reset = self.cut, threading.Event()
        answers = threading.Thread(target=self._carry, args=(server, client, "response", cut, reset))
        answers.start()
        self._carry(client, server, "request", cut, reset)
        answers.join()
        with self._lock:
            self._open -= {client, server}
        if reset.is_set():
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.resets += 1
        client.close()
        server.close()

    @staticmethod
    def _carry(
        source: socket.socket, to: socket.socket, what: Direction, cut: Cut | None, reset: threading.Event
    ) -> None:
        left = cut.after if cut is not None and cut.direction == what else None
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if left is not None and len(data) > left:
                    to.sendall(data[:left])
                    reset.set()
                    break
                to.sendall(data)
                left = None if left is None else left - len(data)
        client, server = (source, to) if what == "request" else (to, source)
        _shut(server)
        _shut(
            client, socket.SHUT_RD if reset.is_set() else socket.SHUT_RDWR
        )  # an end would precede the reset


def _shut(end: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(how)

"""What the server lets in, as the project's settings have it."""

import base64
import os
import socket
from urllib.parse import urlsplit

import pytest
from browser_tools import serve_app


def _shake_hands(address: str, host: str) -> int:
    """Asks for the app's WebSocket under a name, as a browser would; returns the answer's status."""
    parts = urlsplit(address)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["GET /_stcore/stream HTTP/1.1", f"Host: {host}:{parts.port}", f"Origin: http://{host}:{parts.port}"]
    lines += ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    with socket.create_connection(("127.0.0.1", parts.port), timeout=20) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(connection.recv(100).split()[1])


@pytest.mark.slow
def test_server_is_called_by_this_computers_names_only():
    with serve_app() as address:
        assert [_shake_hands(address, host) for host in ("localhost", "127.0.0.1")] == [101, 101]
        assert _shake_hands(address, "evil.example") == 403  # a name that was made to lead here

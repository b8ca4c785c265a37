"""Loaded by every Python process of a test run: a connection that leaves loopback is written down and refused."""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_resolve = socket.getaddrinfo


def _guard(address: Any) -> None:
    host = address[0] if isinstance(address, tuple) else ""
    try:
        inside = not host or host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        with Path(os.environ["LHAMA_TEST_CONNECTIONS"]).open("a", encoding="utf-8") as log:
            log.write(f"{address}\n")
        raise OSError(f"a test run tried to reach {address}")


def _guarded_connect(self: socket.socket, address: Any) -> None:
    _guard(address)
    return _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> int:
    _guard(address)
    return _connect_ex(self, address)


def _guarded_resolve(host: Any, *rest: Any, **more: Any) -> Any:
    _guard((host or "", 0))
    return _resolve(host, *rest, **more)


socket.socket.connect = _guarded_connect  # type: ignore[method-assign, assignment]
socket.socket.connect_ex = _guarded_connect_ex  # type: ignore[method-assign, assignment]
socket.getaddrinfo = _guarded_resolve

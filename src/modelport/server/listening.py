"""Sockets that listen: of one front, or one for each of several fronts on the same port."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.config import Settings
from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.http.app import App  # 3 MB that a supervisor, which reserves the port, has no use for

_BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Reservation:
    """A port that is held for fronts: sockets bound to it that do not listen, so that no connection comes to them."""

    host: str
    port: int
    sockets: tuple[socket.socket, ...]

    def close(self) -> None:
        """Let go of the port."""
        for held in self.sockets:
            held.close()


def reserve(settings: Settings) -> Reservation:
    """Take the port for several fronts. Raises: UsageError where it is taken, by whomsoever, or the system cannot share one."""
    if sys.platform != "linux":
        raise UsageError("several fronts share a port as only Linux does it; leave --fronts out, and one front serves")
    found = []
    port = settings.port
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            held = socket.socket(family, kind, protocol)
            found.append(held)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Bound alone first: that fails beside anybody who listens there, even one who would share. Only then others may join.
            held.bind((address[0], port, *address[2:]))
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port = port or int(held.getsockname()[1])
    except OSError as error:
        for held in found:
            held.close()
        raise _refusal(settings, error) from error
    return Reservation(found[0].getsockname()[0], port, tuple(found))


async def listen(loop: asyncio.AbstractEventLoop, app: App, settings: Settings, shared_port: int = 0) -> asyncio.Server:
    """Listen for clients; at the shared port if there is one. Raises: UsageError where that cannot be."""
    port = shared_port or settings.port
    # As text even "127.0.0.1" goes through the codec of international names, whose tables are 0.4 MB.
    hosts = [settings.host.encode()] if settings.host and settings.host.isascii() else settings.host
    try:
        return await loop.create_server(
            app.connect(loop),
            hosts,  # type: ignore[arg-type]  # both loops take bytes, as getaddrinfo does
            port,
            ssl=tls(settings),
            backlog=_BACKLOG,
            reuse_port=True if shared_port else None,
        )
    except OSError as error:
        raise _refusal(settings, error) from error


def _refusal(settings: Settings, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(
        f"cannot listen on {settings.host} port {settings.port} ({reason}); choose another with --port, or stop what listens there"
    )


def tls(settings: Settings) -> ssl.SSLContext | None:
    """Return what HTTPS is spoken with, None for plain HTTP. Raises: UsageError for a certificate that cannot be used."""
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"--tls-cert {settings.tls_cert} and --tls-key {settings.tls_key} cannot be used ({type(error).__name__}); "
            "give a PEM certificate chain and its private key"
        ) from error
    return context


def url(settings: Settings, host: str, port: int) -> str:
    """Return the address to show to people."""
    scheme = "http" if settings.tls_cert is None else "https"
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  # compared, not bound
    return f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{port}"

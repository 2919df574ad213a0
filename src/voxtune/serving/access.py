"""Where a server listens, by which names it may be asked, and which token it wants: this machine alone, or a proxy that is named."""

import ipaddress
import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from voxtune.errors import UsageError
from voxtune.storage.lock import create_once

SHORTEST = 16
"""Characters of a token."""


@dataclass(frozen=True)
class Access:
    """What ``serve`` was told."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0 takes a free one."""
    root_path: str = ""
    """The path in front of every route, as people see it behind a proxy."""
    trusted: tuple[str, ...] = ()
    """Names in the ``Host`` header that are meant, with or without a port."""
    token_file: Path | None = None

    @property
    def local(self) -> bool:
        """Whether nobody but this machine can ask."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Refuse what would leave strangers before an open door.

        Raises:
            UsageError: another machine could ask, and by no name that is trusted; a root path that is none.
        """
        if not self.local and not self.trusted:
            raise UsageError(
                f"--host {self.host} lets other machines ask. Say by which name: --trusted-host NAME (the one that the proxy passes on), and "
                "put a proxy with TLS before it."
            )
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise UsageError(f"--root-path is a path like /voxtune, got '{self.root_path}'.")

    def token(self) -> str:
        """The token of the file, which is made for its owner alone where there is none; without a file a new one.

        Raises:
            UsageError: the file cannot be read or written, or holds no token.
        """
        if self.token_file is None:
            return secrets.token_urlsafe(24)
        path = self.token_file
        try:
            if not path.exists():
                create_once(path, secrets.token_urlsafe(24) + "\n")
            found = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            raise UsageError(
                f"The token file '{path.name}' cannot be read or written ({type(error).__name__})."
            ) from None
        if len(found) < SHORTEST or any(letter.isspace() for letter in found):
            raise UsageError(
                f"The token file '{path.name}' holds no token: one word of at least {SHORTEST} letters."
            )
        return found

    def hosts(self, port: int) -> set[str]:
        """The values of the ``Host`` header that are answered to."""
        own = {f"127.0.0.1:{port}", f"localhost:{port}"}  # nobody else reaches us by these
        if self.local and ":" in self.host:
            own.add(f"[{self.host}]:{port}")
        elif self.local:
            own.add(f"{self.host}:{port}")
        named = {name.lower() for name in self.trusted}
        return own | named | {f"{name}:{port}" for name in named if ":" not in name}

    def origins(self, port: int) -> set[str]:
        """The values of the ``Origin`` header that are ours; behind TLS too."""
        return {f"http://{host}" for host in self.hosts(port)} | {
            f"https://{name.lower()}" for name in self.trusted
        }

    def address(self, port: int, token: str) -> str:
        """What a person opens."""
        name = self.trusted[0] if self.trusted else f"{self.host}:{port}"
        start = f"{'https' if self.trusted else 'http'}://{name}{self.root_path}/"
        return (
            f"{start}?token={token}"
            if self.token_file is None
            else f"{start}?token=..., the token is in {self.token_file}"
        )


class RootPath:
    """ASGI middleware: takes the root path off, whether the proxy passes it on or has taken it off already."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app, self.root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; the bare root path leads to the page, whose links are relative."""
        path = scope.get("path", "")
        if scope["type"] == "http" and self.root_path and path == self.root_path:
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"{self.root_path}/" + (f"?{query}" if query else ""))(
                scope, receive, send
            )
            return
        if self.root_path and path.startswith(f"{self.root_path}/"):
            scope = {**scope, "path": path.removeprefix(self.root_path)}
        await self.app(scope, receive, send)

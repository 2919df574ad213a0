"""Who may ask: this machine, by the right name, from this page, with the token; everyone else gets one sentence and no more."""

import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxtune.serving.access import Access

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Of every answer: nothing from elsewhere runs or loads, nobody frames the page, no address (it holds the token) is passed on."""
PAGE_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
"""For a scan's own page when it is opened here: no script at all."""
HEALTH = "/health"
"""Tells numbers alone: whether scans can be taken. A probe on this machine asks it without the token."""
OPEN_PATHS = frozenset({"/favicon.ico"})
"""Asked for by browsers without the token; there is nothing there."""


class Guard:
    """ASGI middleware: Host, Origin, token, security headers. It stands before every route."""

    def __init__(self, app: ASGIApp, token: str, port: int, access: Access | None = None) -> None:
        self.app, self.token = app, token
        access = access or Access()
        self.hosts, self.origins = access.hosts(port), access.origins(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self.refusal(scope)
        await (refusal or self.app)(scope, receive, send_safe)

    def refusal(self, scope: Scope) -> JSONResponse | None:
        """Why a request may not pass; ``None`` where it may."""
        headers = Headers(scope=scope)
        # A page elsewhere can make a browser ask us under its own name (DNS rebinding); the Host header then gives it away.
        if [host.lower() for host in headers.getlist("host")] not in [[host] for host in self.hosts]:
            return _refuse(403, "This server answers only to the address it printed at its start.")
        origin = headers.get("origin")
        foreign = origin is not None and origin not in self.origins
        if foreign or headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            return _refuse(403, "Requests from other pages are refused.")
        if scope["path"] == HEALTH and _probe(scope, headers):
            return None
        if scope["path"] in OPEN_PATHS:
            return _refuse(404, "There is nothing here.")
        if not self._knows_token(headers, QueryParams(scope["query_string"])):
            refused = _refuse(
                401, "The token is missing or wrong; use the whole address that was printed at the start."
            )
            refused.headers["WWW-Authenticate"] = "Bearer"
            return refused
        return None

    def _knows_token(self, headers: Headers, query: QueryParams) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else query.get("token", "")
        return hmac.compare_digest(given.encode(), self.token.encode())


def _probe(scope: Scope, headers: Headers) -> bool:
    """Whether this machine itself asks, and no browser or proxy on it: a supervisor that wants to know if the server lives."""
    client = scope.get("client")
    through = {"forwarded", "x-forwarded-for", "x-real-ip", "via", "origin", "sec-fetch-site"}
    return client is not None and client[0] in {"127.0.0.1", "::1"} and not through & set(headers.keys())


def _refuse(status: int, why: str) -> JSONResponse:
    # The body of a refused upload is not read: the connection ends with the answer.
    return JSONResponse({"error": why}, status_code=status, headers={"Connection": "close"})

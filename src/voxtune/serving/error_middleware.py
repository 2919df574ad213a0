"""An error of the server's own is one sentence to whoever asked and one word in the log: its message may quote a file."""

import logging

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("voxtune.serve")


class OwnErrors:
    """ASGI middleware that lets no exception reach the web server, which would log it with its message and traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; where that fails, answer 500 unless an answer has begun (the web server then ends the connection)."""
        begun = False

        async def send_noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except Exception as error:  # noqa: BLE001 (whatever it is, the server goes on)
            LOG.error("an error of the server: %s", type(error).__name__)  # noqa: TRY400 (a traceback holds the message)
            if not begun:
                sentence = JSONResponse({"error": "The server made an error; it goes on."}, status_code=500)
                await sentence(scope, receive, send)

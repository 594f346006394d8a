"""What every answer of the server carries, what a request may ask for, and how much it may bring."""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 2**20  # bytes; the page and its endpoints take names and numbers alone
TOO_LARGE = f"the request is too large: send at most {MAX_BODY:,} bytes"
MAX_WASTE = 2**24  # bytes of a larger one that are read before it is refused: a proxy drops answers that come sooner

# All that the page and its endpoints send to. What Gradio has besides keeps what strangers send on the disk (uploads,
# screen recordings, deep links), or fetches any address for them and hands it on as if it came from here.
QUESTIONS = tuple(
    f"/gradio_api/{name}" for name in ("queue/join", "call/", "run/", "api/", "cancel", "reset", "film/", "live/")
)
OWN = ("/gradio_api/film/", "/gradio_api/live/")  # what only the page itself sends to
FILES = ("/gradio_api/file=", "/gradio_api/file/")
UNUSED = ("/gradio_api/proxy=", "/gradio_api/deep_link")

# Gradio's page has its scripts inline and makes functions of text. What is forbidden is all that comes from elsewhere,
# or goes there. Nothing is said of frames: a Space is one, and slides may show the page in another.
POLICY = "; ".join(
    (
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def dress_node() -> None:
    """HEADERS on the pages, too, that a Node server renders in front of this one (Gradio's SSR, as on a Space)."""
    script = Path(__file__).with_name("headers.mjs").as_uri()
    os.environ["GAN_DEMO_HEADERS"] = json.dumps(HEADERS)
    os.environ["NODE_OPTIONS"] = f"{os.environ.get('NODE_OPTIONS', '')} --import {script}".strip()


class Guard:
    """A middleware: HEADERS on every answer, no request but those of this page, none of more than MAX_BODY bytes."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        came = 0

        async def bounded() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > MAX_BODY:
                await waste(message, receive)
                raise HTTPException(413, TOO_LARGE)
            return message

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        asked = scope["path"].removeprefix(scope.get("root_path", ""))  # as it is routed, GRADIO_ROOT_PATH left out
        if sentence := refusal(scope["method"], asked, Headers(scope=scope)):
            await waste({"more_body": True}, receive)
            return await JSONResponse({"error": sentence}, 403)(scope, receive, dressed)
        said = Headers(scope=scope).get("content-length", "0")
        if not said.isdecimal() or int(said) > MAX_BODY:
            await waste({"more_body": True}, receive)
            return await JSONResponse({"error": TOO_LARGE}, 413)(scope, receive, dressed)
        await self.app(scope, bounded, dressed)


def refusal(method: str, path: str, headers: Headers) -> str | None:
    """Why this server does not even look at a request; None where it does."""
    if method not in ("GET", "HEAD", "OPTIONS") and not path.startswith(QUESTIONS):
        return "nothing can be uploaded by this way: the endpoints take names and numbers, give those"
    if method == "POST" and path.startswith(OWN) and is_foreign(headers):
        return "another site's page can ask nothing of this one: use the page itself"
    if path.startswith(FILES) and "://" in path:
        return "nothing is fetched from elsewhere here: ask that address yourself"
    if path.startswith(UNUSED):
        return "this page has no use for that: reload it, or ask one of its endpoints"
    return None


def is_foreign(headers: Headers) -> bool:
    """Whether a page of another site sent this. Gradio answers any origin; older browsers, and plain HTTP between two
    machines, say no more than the origin."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    try:
        place = urlsplit(origin or "").netloc
    except ValueError:
        return True
    return origin is not None and place != headers.get("host")  # what else names a host a script may set


async def waste(message: Message, receive: Receive) -> None:
    """Read on after this part of a body, and keep nothing of it."""
    came = 0
    while message.get("more_body") and came < MAX_WASTE:
        message = await receive()
        came += len(message.get("body", b""))

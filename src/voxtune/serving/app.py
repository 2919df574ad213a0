"""The routes: a page for people, an API for programs, and what a monitor asks. Every one stands behind ``Guard``."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from voxtune.cohorts.person_names import two_people
from voxtune.pages.viewer_page import STATIC, viewer_page
from voxtune.serving.access import Access, RootPath
from voxtune.serving.error_middleware import OwnErrors
from voxtune.serving.guard import PAGE_POLICY, Guard
from voxtune.serving.metrics import measures
from voxtune.serving.openapi import document
from voxtune.serving.scans import GREY, PAGE, ServedScan
from voxtune.serving.service import Service
from voxtune.serving.upload import Refused, check_length, receive

LONGEST_WAIT = 600.0
LONGEST_YEARS = 30.0
"""Between two scans of a person; more is another unit."""


def make_app(service: Service, token: str, port: int, access: Access | None = None) -> Starlette:
    """The ASGI application of a service; ``service`` is started and stopped with it."""
    access = access or Access()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await service.stop()

    api = Api(service)
    routes = [
        Route("/", api.page),
        Route("/static/{name}", api.static),
        Route("/openapi.json", api.openapi),
        Route("/health", api.health),
        Route("/metrics", api.metrics),
        Route("/api/v1/adapter", api.adapter),
        Route("/api/v1/scans", api.list_scans, methods=["GET"]),
        Route("/api/v1/scans", api.add_scan, methods=["POST"]),
        Route("/api/v1/scans/{id}", api.show_scan, methods=["GET"]),
        Route("/api/v1/scans/{id}", api.delete_scan, methods=["DELETE"]),
        Route("/api/v1/scans/{id}/result", api.result),
        Route("/api/v1/scans/{id}/page", api.scan_page),
        Route("/api/v1/scans/{id}/volume", api.volume),
        Route("/api/v1/scans/{id}/map", api.heat_map),
        Route("/api/v1/scans/{id}/map/voxels", api.heat_voxels),
    ]
    handlers: dict[Any, Any] = {Refused: _on_refused, HTTPException: _on_http_error}
    before = [
        Middleware(RootPath, root_path=access.root_path),
        Middleware(Guard, token=token, port=port, access=access),
        Middleware(OwnErrors),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers, middleware=before)


class Api:
    """The handlers; each is one route of ``openapi.py``."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def page(self, request: Request) -> Response:
        """The page people use."""
        token = request.query_params.get("token", "")
        return HTMLResponse(viewer_page(self.service.pool.facts, self.service.limits.model_dump(), token))

    async def static(self, request: Request) -> Response:
        """Script and style of that page."""
        name = request.path_params["name"]
        if name not in STATIC:
            raise Refused(404, "There is nothing here.")
        return FileResponse(STATIC[name][0], media_type=STATIC[name][1])

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI document."""
        return JSONResponse(document(self.service.limits))

    async def health(self, _: Request) -> Response:
        """Whether scans can be taken: 200, 503 while as many wait as may, 507 while nothing can be stored. A worker that died starts again with the next scan."""
        waiting = self.service.scans.unfinished()
        full = waiting >= self.service.limits.waiting
        alive = sum(worker.alive for worker in self.service.pool.workers)
        trouble = self.service.storage_trouble()
        status = "storage" if trouble else "full" if full else "ok"
        state = {
            "status": status,
            "workers": alive,
            "waiting": waiting,
            "storage": trouble or "ok",
            "sets": self.service.pool.facts.get("sets"),
            "drift": {
                name: one for name, one in self.service.monitor.as_json().items() if name != "verdicts"
            },
        }
        return JSONResponse(state, status_code=507 if trouble else 503 if full else 200)

    async def metrics(self, _: Request) -> Response:
        """Counters in the text format of Prometheus."""
        return PlainTextResponse(measures(self.service), media_type="text/plain; version=0.0.4")

    async def adapter(self, _: Request) -> Response:
        """What the adapter is."""
        return JSONResponse(self.service.pool.facts)

    async def list_scans(self, _: Request) -> Response:
        """Every scan that is here."""
        scans = [self._state(scan) for scan in self.service.scans]
        return JSONResponse({"scans": scans, "drift": self.service.monitor.as_json()})

    async def add_scan(self, request: Request) -> Response:
        """Take a scan: 202 at once, or its end with ``?wait=SECONDS``."""
        limits = self.service.limits
        wait = _seconds(request.query_params.get("wait", "0"))
        check_length(request, limits)
        earlier = self._earlier(request)
        length = request.headers.get("content-length")
        with self.service.room(None if length is None else int(length)):
            scan_id, folder = self.service.scans.new_folder()
            try:
                received = await receive(request, folder, limits)
                series = request.query_params.get("series") or None
                scan, work = self.service.take(scan_id, folder, received, series, earlier)
            except BaseException:
                self.service.discard(folder)
                raise
        if wait:
            await asyncio.wait({work}, timeout=wait)
        return self._answer(scan) if wait and scan.over else JSONResponse(self._state(scan), status_code=202)

    async def show_scan(self, request: Request) -> Response:
        """How far a scan is."""
        return JSONResponse(self._state(self._scan(request)))

    async def delete_scan(self, request: Request) -> Response:
        """Forget a scan and everything made of it, now."""
        scan = self._scan(request)
        if scan.state == "working":
            raise Refused(409, "This scan is being worked on; delete it when it is done.")
        self.service.forget(scan)
        return Response(status_code=204)

    async def result(self, request: Request) -> Response:
        """The answer: 200, 202 while there is none, 422 with the reason where there will be none, 507 where it could not be stored."""
        return self._answer(self._scan(request))

    async def scan_page(self, request: Request) -> Response:
        """The scan's page, one file; with ``?download=1`` to keep."""
        scan = self._done(request)
        how = "attachment" if request.query_params.get("download") else "inline"
        headers = {
            "Content-Disposition": f'{how}; filename="voxtune-{scan.id}.html"',
            "Content-Security-Policy": PAGE_POLICY,
        }
        return FileResponse(scan.folder / PAGE, media_type="text/html; charset=utf-8", headers=headers)

    async def volume(self, request: Request) -> Response:
        """The volume the model saw: a byte a voxel, first axis fastest, axes to right, anterior, superior."""
        return _bytes(self._done(request).folder / GREY)

    async def heat_map(self, request: Request) -> Response:
        """Make a heat map and say what it shows."""
        target, biomarker = _asked(request)
        return JSONResponse(await self.service.heat(self._done(request), target, biomarker))

    async def heat_voxels(self, request: Request) -> Response:
        """The voxels of a heat map that was made: 128 is no heat, 255 the strongest, below 128 what lowers the score."""
        path = self._done(request).folder / f"{self.service.map_file(*_asked(request))}.u8"
        if not path.is_file():
            raise Refused(404, "This heat map was not asked for yet.")
        return _bytes(path)

    def _earlier(self, request: Request) -> list[tuple[ServedScan, float]]:
        """The earlier scans of the person (``?earlier=ID:YEARS``, more by commas): finished ones that are still here.

        Raises:
            Refused: 400 where it is not of this form, its names are of two people or this adapter reads each scan alone, 404 or 409 of a scan that is not here or not finished.
        """
        text = request.query_params.get("earlier", "")
        if not text:
            return []
        if self.service.pool.facts.get("visits", 1) < 2:
            raise Refused(400, "This adapter reads each scan alone: it takes no earlier scans.")
        found: dict[str, tuple[ServedScan, float]] = {}
        for part in text.split(","):
            scan_id, _, years = part.strip().partition(":")
            if scan_id in found:
                raise Refused(400, "earlier takes each scan once: it was made at one moment.")
            found[scan_id] = (self._done_scan(scan_id), _years(years))
        names = {"": request.query_params.get("name", "")} | {
            key: one.name for key, (one, _) in found.items()
        }
        if (two := two_people(names)) is not None:
            one, other = (names[key] for key in two)
            raise Refused(
                400, f"earlier takes scans of one person: '{one}' and '{other}' are named as of two."
            )
        return list(found.values())

    def _scan(self, request: Request) -> ServedScan:
        return self._scan_of(request.path_params["id"])

    def _scan_of(self, scan_id: str) -> ServedScan:
        scan = self.service.scans.get(scan_id)
        if scan is None:
            minutes = self.service.limits.keep_seconds / 60
            raise Refused(
                404, f"There is no such scan; results are deleted {minutes:.0f} minutes after they are made."
            )
        return scan

    def _done(self, request: Request) -> ServedScan:
        return self._done_scan(request.path_params["id"])

    def _done_scan(self, scan_id: str) -> ServedScan:
        scan = self._scan_of(scan_id)
        if scan.state != "done":
            raise Refused(409, scan.error or "This scan is not finished yet.")
        return scan

    def _answer(self, scan: ServedScan) -> Response:
        if scan.state == "failed":
            status = 507 if scan.unstored else 422
            return JSONResponse({"id": scan.id, "scan": scan.name, "error": scan.error}, status_code=status)
        if scan.state != "done":
            return JSONResponse(self._state(scan), status_code=202)
        return JSONResponse({"id": scan.id} | (scan.result or {}))

    def _state(self, scan: ServedScan) -> dict[str, Any]:
        seconds = scan.seconds()
        return {
            "id": scan.id,
            "scan": scan.name,
            "state": scan.state,
            "step": scan.step,
            "ahead": self.service.scans.ahead_of(scan) if scan.state == "waiting" else 0,
            "attempts": scan.attempts,
            "seconds": None if seconds is None else round(seconds, 1),
            "error": scan.error,
            "verdict": None if scan.result is None else scan.result.get("verdict"),
            "predicted": None if scan.result is None else scan.result["predicted"],
            "set": None if scan.result is None else scan.result.get("set"),
        }


def _asked(request: Request) -> tuple[str, str | None]:
    return request.query_params.get("target", ""), request.query_params.get("biomarker") or None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_WAIT:
        raise Refused(400, f"wait takes 0 to {LONGEST_WAIT:.0f} seconds.")
    return seconds


def _years(text: str) -> float:
    try:
        years = float(text)
    except ValueError:
        years = -1.0
    if not 0 < years <= LONGEST_YEARS:
        raise Refused(
            400, f"earlier takes ID:YEARS, more than 0 and at most {LONGEST_YEARS:g} years before the scan."
        )
    return years


def _bytes(path: Path) -> Response:
    return FileResponse(path, media_type="application/octet-stream")


async def _on_refused(_: Request, error: Refused) -> Response:
    headers = {"Connection": "close"}  # what is left of a refused upload is not read
    if error.status == 429:
        headers["Retry-After"] = "60"
    return JSONResponse({"error": str(error)}, status_code=error.status, headers=headers)


async def _on_http_error(_: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": f"{error.detail}."}, status_code=error.status_code, headers=error.headers)

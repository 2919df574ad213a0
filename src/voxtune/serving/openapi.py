"""The API as an OpenAPI 3.1 document, written by hand and held to the routes by a test."""

from typing import Any

from voxtune import __version__
from voxtune.serving.limits import Limits

Json = dict[str, Any]
ERROR: Json = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
VERDICT = (
    "'answer', 'answer with caution: WHY' or 'no answer: WHY'; of no answer every class and number is null."
)
SET: Json = {
    "type": ["array", "object", "null"],
    "description": "What stays possible, where sets were asked for: classes, what is said of each finding, or the interval of each number.",
}
DRIFT: Json = {
    "type": "object",
    "description": "Whether the scans that came in differ from those the adapter was made with; counts and sums, nothing of one scan.",
    "properties": {
        "state": {"enum": ["drift", "no drift found", "too few scans", "not known"]},
        "sentence": {"type": "string"},
        "scans": {"type": "integer"},
        "verdicts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "found": {"type": "object", "additionalProperties": {"type": "integer"}},
        "next_look": {"type": "integer"},
    },
}
STATE: Json = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "scan": {"type": "string", "description": "The name its sender gave it."},
        "state": {"enum": ["waiting", "working", "done", "failed"]},
        "step": {"type": ["string", "null"], "description": "read, mask, clean, transform, score or draw."},
        "ahead": {"type": "integer", "description": "Scans that wait before it."},
        "attempts": {"type": "integer"},
        "seconds": {"type": ["number", "null"]},
        "error": {"type": ["string", "null"]},
        "verdict": {"type": ["string", "null"], "description": VERDICT},
        "predicted": {"type": ["string", "null"]},
        "set": SET,
    },
}
RESULT: Json = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "scan": {"type": "string"},
        "verdict": {"type": "string", "description": VERDICT},
        "predicted": {"type": ["string", "null"]},
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        "set": SET,
        "prediction_set": {
            "type": "object",
            "description": "Where sets were asked for: coverage, members, intervals by target, and the guarantee in words; of an event also how long the person is without it.",
        },
        "discoveries": {
            "type": "object",
            "description": "Where a false-discovery rate was asked for: findings said to be there, and the guarantee in words.",
        },
        "similar": {
            "type": "object",
            "description": "Where the adapter has a bank: the nearest groups of training participants, and how their outcomes spread.",
        },
        "visits": {
            "type": "object",
            "description": "Where earlier scans of the person were given: which were read and why others were not, and the probabilities without them.",
        },
        "mmse": {"type": ["number", "null"]},
        "mmse_interval": {"type": ["array", "null"], "items": {"type": "number"}},
        "mmse_note": {"type": ["string", "null"], "description": "Why there is no MMSE."},
        "simulated": {"type": "boolean", "description": "The adapter or this very scan is SIMULATED."},
        "confidence": {"type": ["number", "null"]},
        "abstained": {"type": "boolean", "description": "Whether the verdict is 'no answer'."},
        "distance": {"type": ["number", "null"]},
        "unlike_training": {"type": ["boolean", "null"]},
        "quality": {"enum": ["pass", "warn", "fail"]},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "view": {
            "type": "object",
            "properties": {
                "shape": {"type": "array", "items": {"type": "integer"}},
                "spacing": {"type": "array", "items": {"type": "number"}},
            },
        },
    },
}
MAP: Json = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("title", "meaning", "method", "target")}
    | {"biomarker": {"type": ["string", "null"]}, "peak": {"type": "number"}, "file": {"type": "string"}},
}
ADAPTER: Json = {
    "type": "object",
    "description": "What adapter.json says, and the targets and biomarkers of heat maps.",
}


def document(limits: Limits) -> Json:
    """The document of a server with these limits."""
    scan = "/api/v1/scans/{id}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "VoxTune",
            "version": __version__,
            "description": "Predict scans on this machine. Research only, not for diagnosis. Every request needs the token that was printed "
            f"at the start. One scan may take {limits.seconds:.0f} s; results are deleted after {limits.keep_seconds / 60:.0f} minutes.",
        },
        "security": [{"bearer": []}, {"query": []}],
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            }
        },
        "paths": {
            "/": {"get": _get("The page for people.", "text/html")},
            "/static/{name}": {"get": _get("Script and style of that page.", "*/*") | _in_path("name")},
            "/openapi.json": {"get": _get("This document.", schema={"type": "object"})},
            "/health": {
                "get": _get(
                    "Whether scans can be taken (503: as many wait as may; 507: nothing can be stored).",
                    schema={
                        "type": "object",
                        "properties": {
                            "status": {"enum": ["ok", "full", "storage"]},
                            "workers": {"type": "integer"},
                            "waiting": {"type": "integer"},
                            "storage": {"type": "string"},
                            "sets": {
                                "type": ["object", "null"],
                                "description": "What is promised of every answer, where sets were asked for.",
                            },
                            "drift": DRIFT,
                        },
                    },
                    also=(503, 507),
                )
            },
            "/metrics": {"get": _get("Counters in the text format of Prometheus.", "text/plain")},
            "/api/v1/adapter": {"get": _get("What the adapter is.", schema=ADAPTER)},
            "/api/v1/scans": {
                "get": _get(
                    "Every scan that is here, and whether scans have drifted.",
                    schema={
                        "type": "object",
                        "properties": {"scans": {"type": "array", "items": STATE}, "drift": DRIFT},
                        "required": ["scans", "drift"],
                    },
                ),
                "post": _post(limits),
            },
            scan: {
                "get": _get("How far a scan is.", schema=STATE, also=(404,)) | _in_path("id"),
                "delete": {
                    "summary": "Forget a scan now.",
                    "responses": {"204": {"description": "It is gone."}} | _errors(404, 409),
                }
                | _in_path("id"),
            },
            f"{scan}/result": {"get": _result() | _in_path("id")},
            f"{scan}/page": {
                "get": _get("The scan's page, one file.", "text/html", also=(404, 409))
                | _in_path("id", "download")
            },
            f"{scan}/volume": {
                "get": _get(
                    "The volume the model saw: a byte a voxel, first axis fastest, axes to right, anterior, superior; shape in the result.",
                    "application/octet-stream",
                    also=(404, 409),
                )
                | _in_path("id")
            },
            f"{scan}/map": {
                "get": _get("Make a heat map and say what it shows.", schema=MAP, also=(404, 409, 422, 507))
                | _in_path("id", "target", "biomarker")
            },
            f"{scan}/map/voxels": {
                "get": _get(
                    "Its voxels, as those of the volume: 128 is none, 255 raises the target most, below 128 lowers it.",
                    "application/octet-stream",
                    also=(404, 409),
                )
                | _in_path("id", "target", "biomarker")
            },
        },
    }


def _post(limits: Limits) -> Json:
    binary = {"type": "string", "format": "binary"}
    done = {"description": "Its answer, where 'wait' was long enough.", "content": _json(RESULT)}
    return {
        "summary": f"Send one scan of at most {limits.upload_bytes / 2**20:.0f} MB: NIfTI, a DICOM file, or a zip of either.",
        "parameters": [
            _query("name", "What to call it, where the body is the file itself."),
            _query("wait", "Seconds to wait for the answer; without it 202 comes at once."),
            _query(
                "series",
                "A DICOM series by its UID, number or description; otherwise chosen by rules and said.",
            ),
            _query(
                "earlier",
                "Earlier scans of the same person that are here, as ID:YEARS before this one, more by commas; for adapters that read several.",
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": binary},
                "multipart/form-data": {"schema": _object("scan", binary)},
            },
        },
        "responses": {"200": done, "202": {"description": "It waits in the queue.", "content": _json(STATE)}}
        | _errors(400, 408, 411, 413, 415, 422, 429, 507),
    }


def _result() -> Json:
    return {
        "summary": "The answer for a scan.",
        "responses": {
            "200": {"description": "The answer.", "content": _json(RESULT)},
            "202": {"description": "There is none yet.", "content": _json(STATE)},
        }
        | _errors(404, 422, 507),
    }


def _get(
    summary: str, kind: str = "application/json", schema: Json | None = None, also: tuple[int, ...] = ()
) -> Json:
    content = {kind: {"schema": schema} if schema is not None else {}}
    return {
        "summary": summary,
        "responses": {"200": {"description": "It is here.", "content": content}} | _errors(*also),
    }


def _errors(*codes: int) -> Json:
    said = {
        400: "A bad name or form.",
        401: "No token.",
        403: "Another host or page asks.",
        404: "There is none (any more).",
        408: "The sender fell silent.",
        409: "Not at this stage.",
        411: "Length unknown.",
        413: "Too large.",
        415: "Not a scan.",
        422: "It cannot be processed; the sentence says why.",
        429: "Too many wait.",
        503: "As many wait as may.",
        507: "No room.",
    }
    return {str(code): {"description": said[code], "content": _json(ERROR)} for code in (401, 403, *codes)}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _object(name: str, schema: Json) -> Json:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


def _in_path(first: str, *queries: str) -> Json:
    place = {"name": first, "in": "path", "required": True, "schema": {"type": "string"}}
    return {"parameters": [place, *(_query(name, "") for name in queries)]}


def _query(name: str, words: str) -> Json:
    found: Json = {"name": name, "in": "query", "schema": {"type": "string"}}
    return found | ({"description": words} if words else {})

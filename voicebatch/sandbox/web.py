"""The sandbox's addresses: the provider's under ``/v1``, the auditor's under ``/sandbox``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import flask
from werkzeug.exceptions import HTTPException

from voicebatch import wire
from voicebatch.models import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebatch.sandbox.records import Account, Arrival, Call

BODY_BYTES_MAX: Final = 1024 * 1024
VERSION_PATH: Final = "/v1"


def create_app(account: Account, *, before_answer: Callable[[], object]) -> flask.Flask:
    """The WSGI application; ``before_answer`` runs when a request was acted on and is not answered yet."""
    app = flask.Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX

    @app.post(VERSION_PATH + wire.PATHS[Channel.VOICE_SMS])
    def send() -> flask.Response:
        response = account.send(flask.request.get_data())
        before_answer()
        return _json(response.body, response.status, dict(response.headers))

    @app.get("/sandbox/calls")
    def calls() -> flask.Response:
        return _listing(account.calls)

    @app.get("/sandbox/requests")
    def requests() -> flask.Response:
        return _listing(account.requests)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> flask.Response:
        return _json(wire.write_error(str(error.code), error.description or error.name), error.code or 500)

    return app


def _listing(records: Sequence[Call | Arrival]) -> flask.Response:
    return _json(json.dumps([asdict(record) for record in records], default=lambda at: at.isoformat()), 200)


def _json(body: str, status: int, headers: dict[str, str] | None = None) -> flask.Response:
    return flask.Response(body, status, headers, content_type="application/json")

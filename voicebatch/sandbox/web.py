"""The sandbox's addresses: the provider's under ``/v1``, the auditor's under ``/sandbox``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import flask
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import BaseConverter

from voicebatch import wire
from voicebatch.errors import UsageError
from voicebatch.models import Channel
from voicebatch.sandbox import faults, rules
from voicebatch.sandbox.records import JSON, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voicebatch.sandbox.endpoints import Endpoints
    from voicebatch.sandbox.faults import Faults
    from voicebatch.sandbox.notifier import Notifier

BODY_BYTES_MAX: Final = 1024 * 1024
VERSION_PATH: Final = "/v1"
_UNANSWERED: Final = "voicebatch.unanswered"


class _Key(BaseConverter):
    """A key in a path: whatever it holds, slashes and line breaks too."""

    part_isolating = False
    regex = r"(?s:.+)"


def create_app(
    endpoints: Endpoints, *, notifier: Notifier, active: Faults, before_answer: Callable[[float], object]
) -> flask.Flask:
    """The WSGI application; ``before_answer`` runs when a request was acted on and is not answered yet.

    It is given the seconds by which the answer is late. The server must take an ``OSError`` for a lost connection.
    """
    app = flask.Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    app.url_map.merge_slashes = False  # a key may hold some
    app.url_map.converters["key"] = _Key
    _add_the_provider(app, endpoints, before_answer)
    _add_the_auditor(app, endpoints, notifier, active)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> flask.Response:
        return _json(wire.write_error(str(error.code), error.description or error.name), error.code or 500)

    app.wsgi_app = _hanging_up(app.wsgi_app)  # type: ignore[method-assign] # Flask's own way to wrap it
    return app


def _add_the_provider(app: flask.Flask, endpoints: Endpoints, before_answer: Callable[[float], object]) -> None:
    def answer(response: Response) -> flask.Response:
        before_answer(response.delay)
        flask.request.environ[_UNANSWERED] = not response.status
        headers = dict(response.headers)
        return flask.Response(response.body, response.status or 500, headers, content_type=response.content_type)

    @app.post(VERSION_PATH + wire.PATHS[Channel.VOICE_SMS])
    def send() -> flask.Response:
        return answer(endpoints.send(Channel.VOICE_SMS, flask.request.get_data()))

    @app.post(VERSION_PATH + wire.PATHS[Channel.VOICEMAIL])
    def send_campaign() -> flask.Response:
        return answer(endpoints.send(Channel.VOICEMAIL, flask.request.get_data()))

    @app.get(_rule(wire.CREDIT_PATH))
    def credit(key: str) -> flask.Response:
        return answer(endpoints.credit(key))

    @app.get(_rule(wire.AUDIOS_PATH))
    def audios(key: str) -> flask.Response:
        return answer(endpoints.audios(key))

    @app.post(VERSION_PATH + wire.RENAME_PATH)
    def rename() -> flask.Response:
        return answer(endpoints.rename(flask.request.get_data()))

    @app.delete(_rule(wire.CANCEL_PATH))
    def cancel(key: str, campaign: str) -> flask.Response:
        return answer(endpoints.cancel(key, campaign))


def _add_the_auditor(app: flask.Flask, endpoints: Endpoints, notifier: Notifier, active: Faults) -> None:
    @app.get("/sandbox/calls")
    def calls() -> flask.Response:
        return _listing(endpoints.calls)

    @app.get("/sandbox/requests")
    def requests() -> flask.Response:
        return _listing(endpoints.requests)

    @app.get("/sandbox/prices")
    def prices() -> flask.Response:
        return _listing(rules.prices().values())

    @app.get("/sandbox/callbacks")
    def callbacks() -> flask.Response:
        endpoints.look()
        sent = [asdict(record) for record in notifier.sent]
        return _dumped({"sent": sent, "skipped": notifier.skipped, "pending": notifier.pending})

    @app.get("/sandbox/faults")
    def show_faults() -> flask.Response:
        return _dumped([str(fault) for fault in active.active])

    @app.post("/sandbox/faults")
    def set_faults() -> flask.Response:
        active.replace(_asked_faults(flask.request.get_data()))
        return show_faults()

    @app.delete("/sandbox/faults")
    def clear_faults() -> flask.Response:
        active.replace(())
        return show_faults()


def _asked_faults(body: bytes) -> tuple[faults.Fault, ...]:
    try:
        texts = json.loads(body)
    except ValueError:
        texts = None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadRequest('a JSON list of faults is wanted, such as ["lost-after:0.1", "throttled:3x"]')
    try:
        return faults.parse_all(texts)
    except UsageError as error:
        raise BadRequest(f"{error.message} {error.hint}") from None


def _hanging_up(application: Callable[..., Any]) -> Callable[..., Any]:
    """Closes the connection where no answer is to come."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        body = application(environ, start_response)
        if environ.get(_UNANSWERED):
            raise ConnectionAbortedError
        return body

    return answer


def _rule(path: str) -> str:
    """A documented path as Flask's rule."""
    return VERSION_PATH + path.format(key="<key:key>", campaign="<campaign>")


def _listing(records: Iterable[Any]) -> flask.Response:
    return _dumped([asdict(record) for record in records])


def _dumped(data: object) -> flask.Response:
    return _json(json.dumps(data, default=_in_words), 200)


def _in_words(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _json(body: str, status: int) -> flask.Response:
    return flask.Response(body, status, content_type=JSON)

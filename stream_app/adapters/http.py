"""The HTTP server of a process: ``/metrics``, ``/healthz``, ``/readyz``; in its own threads."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

FINE = "ok"
Checks = Callable[[], Mapping[str, str]]
_Headers = list[tuple[str, str]]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: probes come every few seconds."""


def serve(host: str, port: int, registry: CollectorRegistry, pages: Mapping[str, Checks]) -> int:
    """Serve the metrics, and checks by path; return the port in use, raises OSError if taken.

    A page answers 200 where each of its checks is ``ok``, else 503; its body is JSON, the checks
    and what is not right with them.
    """
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: Callable[[str, _Headers], Any]) -> Iterable[bytes]:
        checks = pages.get(environ["PATH_INFO"])
        if checks is None:
            return cast("Iterable[bytes]", metrics(environ, start))
        found = checks()
        fine = all(word == FINE for word in found.values())
        status = HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE
        start(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [json.dumps({"ok": fine, "checks": dict(found)}).encode() + b"\n"]

    server = make_server(host, port, answer, ThreadingWSGIServer, _Quiet)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server.server_port

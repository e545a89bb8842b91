"""The stand-in as an ASGI application: HTTP on one side, calls and answers on the other.

Belongs here: reading requests, writing responses, the endpoints that steer the stand-in. Does not belong here: what
is answered (`stand_in`) and the server (`server`).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from orchestration.stand_in.answers import Answer, server_error
from orchestration.stand_in.faults import FaultError, Faults
from orchestration.stand_in.stand_in import KEY_PARAMETER, Asked, StandIn, compressed_for

KEY_HEADER = "Ocp-Apim-Subscription-Key"
_LOOK_EVERY_SECONDS = 0.02


class _HalfResponse(Response):
    """Promises its whole body, sends half of it and ends; the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def make_app(stand_in: StandIn) -> Starlette:
    """The application that answers for this stand-in."""

    async def answer(request: Request) -> Response:
        accepted = request.headers.get("accept-encoding", "")

        def made() -> Answer:
            return compressed_for(stand_in, stand_in.answer(asked_by(request)), accepted)

        given = await to_thread.run_sync(made)
        if given.held_seconds and not await _held(stand_in, given.held_seconds):
            given = server_error(503)
        kind = _HalfResponse if given.is_dropped else Response
        return kind(given.body, given.status, dict(given.headers), given.content_type)

    async def calls(_: Request) -> Response:
        return JSONResponse([asdict(call) for call in stand_in.calls])

    async def quota(_: Request) -> Response:
        stand_in.give_back_quota()
        return JSONResponse({"quota": "given back"})

    async def faults(request: Request) -> Response:
        try:
            wanted = Faults() if request.method == "DELETE" else Faults.from_json(json.loads(await request.body()))
        except (FaultError, json.JSONDecodeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        stand_in.set_faults(wanted)
        return JSONResponse({"faults": "set"})

    async def revise(request: Request) -> Response:
        return await _revised(stand_in, request)

    return Starlette(
        routes=[
            Route("/stand-in/calls", calls),
            Route("/stand-in/quota", quota, methods=["POST"]),
            Route("/stand-in/faults", faults, methods=["POST", "DELETE"]),
            Route("/stand-in/revise", revise, methods=["POST"]),
            Route("/{path:path}", answer),
        ]
    )


def asked_by(request: Request) -> Asked:
    """The call in a request; the key stands in the header or, as the official client sends it, in the address."""
    parameters = {name.lower(): value for name, value in request.query_params.items()}
    in_address = parameters.pop(KEY_PARAMETER, None)
    return Asked(
        address=f"{request.url.scheme}://{request.url.netloc}",
        path=request.url.path,
        parameters=parameters,
        key=request.headers.get(KEY_HEADER) or in_address,
        address_length=len(str(request.url)),
    )


async def _held(stand_in: StandIn, seconds: float) -> bool:
    """Wait; False when the server closes before the time is up."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        if stand_in.closing.is_set():
            return False
        await asyncio.sleep(min(left, _LOOK_EVERY_SECONDS))
    return True


async def _revised(stand_in: StandIn, request: Request) -> Response:
    """Scale the values of every data set of a reporter and a period; says the keys and checksums that came of it."""
    try:
        said = json.loads(await request.body())
        reporter, period, factor = int(said["reporterCode"]), str(said["period"]), float(said.get("factor", 1.1))
    except (KeyError, TypeError, ValueError) as error:
        return JSONResponse({"error": f"{error}: give reporterCode, period and, if wanted, factor"}, 400)
    keys = [one.key for one in stand_in.holdings.data_sets()
            if one.key.reporter_code == reporter and one.key.period == period]  # fmt: skip
    if not keys:
        return JSONResponse({"error": f"no data set of reporter {reporter} and period {period} is held"}, 404)
    revised = [stand_in.holdings.scale(key, factor) for key in keys]
    return JSONResponse([{"key": list(one.key), "datasetChecksum": one.checksum} for one in revised])

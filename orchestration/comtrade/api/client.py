"""The client of the UN Comtrade API: one call at a time, at the pace and within the quota of its key.

Belongs here: endpoints, the key, statuses and bodies turned into typed errors, waiting and trying again. Does not
belong here: which data sets a pull asks for (`packing`), what rows mean (`contract`), any file but the record of calls.

The key travels in a header only. Paths are those that the official client comtradeapicall 1.3.2 calls.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import tenacity

from orchestration.comtrade.api.bodies import read_versions
from orchestration.comtrade.api.errors import (
    AccessRefused,
    AddressTooLong,
    ApiError,
    BadBody,
    KeyRefused,
    NoAnswer,
    Passing,
    RateExceeded,
    RequestRefused,
    ServerFailing,
)
from orchestration.comtrade.api.limits import Limits
from orchestration.comtrade.api.quota import CallBook
from orchestration.comtrade.api.requests import DataRequest, Version

LOG = logging.getLogger("mirror_warehouse.comtrade")
ADDRESS = "https://comtradeapi.un.org"
KEY_HEADER = "Ocp-Apim-Subscription-Key"
_SHOWN_CHARACTERS = 200
_KEY = re.compile(r"[!-~]+")
_SECONDS = re.compile(r"in (\d+(?:\.\d+)?) second")
_COUNT = re.compile(rb'"count"\s*:\s*(\d+)')


@dataclass(frozen=True)
class Body:
    """What an answer holds, and its SHA-256."""

    content: bytes
    checksum: str


class Client:
    """Calls the API, or anything that answers like it at `address`.

    Without a key the public endpoints are called. `transport` and `sleep` are for tests. Every method raises an
    ApiError: KeyRefused, QuotaSpent and RequestRefused (AccessRefused among them) at once, the passing ones after the
    attempts of `limits`; a key that no header can hold is refused when the client is made.
    """

    def __init__(
        self,
        book: CallBook,
        limits: Limits,
        key: str | None = None,
        address: str = ADDRESS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if key and not _KEY.fullmatch(key):
            # The library would name the whole key in its own error, and only once a call is made.
            raise KeyRefused(
                "the key holds a blank, a line break or another character that no key has",
                "nothing can be pulled without a valid one",
                "set MIRROR_API_KEY to a subscription key of comtradedeveloper.un.org, and nothing around it",
            )
        self._book, self._limits, self._key = book, limits, key
        self._http = httpx.Client(
            base_url=address,
            headers={KEY_HEADER: key} if key else {},
            timeout=limits.timeout_seconds,
            transport=transport,
        )
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(limits.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception(self._may_pass),
            sleep=sleep,
            before_sleep=_say_waiting,
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    @property
    def scope(self) -> str:
        """The part of the path that a key decides: `data` with one, `public` without."""
        return "data" if self._key else "public"

    def data(self, request: DataRequest) -> Body:
        """An answer with rows. Raises AddressTooLong before anything is sent."""
        endpoint = "data/v1/get" if self._key else "public/v1/preview"
        return self._get(endpoint, request.path, request.query)

    def address_fits(self, request: DataRequest) -> bool:
        """True when the address of the request is as short as the API wants it."""
        endpoint = "data/v1/get" if self._key else "public/v1/preview"
        return len(self._address(endpoint, request.path, request.query)) <= self._limits.address_characters

    def availability(
        self, type_code: str, frequency: str, search_code: str, periods: tuple[str, ...] = ()
    ) -> list[Version]:
        """The versions of every data set the API holds now, sorted; of some periods when named."""
        query = f"period={','.join(periods)}" if periods else ""
        body = self._get(f"{self.scope}/v1/getDa", f"{type_code}/{frequency}/{search_code}", query)
        return read_versions(body.content)

    def live_updates(self) -> bytes:
        """What the API released lately (JSON); needs a key."""
        return self._get("data/v1/getLiveUpdate", "", "").content

    def metadata(self, type_code: str, frequency: str, search_code: str, query: Mapping[str, str]) -> bytes:
        """Notes of reporters on their data sets (JSON)."""
        return self._get(
            f"{self.scope}/v1/getMetadata", f"{type_code}/{frequency}/{search_code}", str(httpx.QueryParams(query))
        ).content

    def bulk_list(self, type_code: str, frequency: str, search_code: str, query: Mapping[str, str]) -> bytes:
        """The list of bulk files (JSON); needs a premium key."""
        return self._get("bulk/v1/get", f"{type_code}/{frequency}/{search_code}", str(httpx.QueryParams(query))).content

    def bulk_file(self, name: str, target: Path) -> Path:
        """Download one bulk file of the list to `target`, under a temporary name until it is whole.

        `name` is `fileUrl` of the list: an address of this API, or the part of it behind `bulk/v1/file/`.
        """
        part = name.split("bulk/v1/file/", 1)[-1]
        content = self._get("bulk/v1/file", part, "", is_json=False).content
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.write_bytes(content)
        return temporary.replace(target)

    def reference(self, name: str) -> bytes:
        """A reference table by its name, such as `Reporters` (JSON)."""
        return self._get("files/v1/app/reference", f"{name}.json", "").content

    def _get(self, endpoint: str, path: str, query: str, is_json: bool = True) -> Body:
        address = self._address(endpoint, path, query)
        if len(address) > self._limits.address_characters:
            raise AddressTooLong(
                f"an address of {len(address)} characters is longer than the {self._limits.address_characters} the API "
                "takes",
                "it would be refused and the call lost",
                "narrow the request, or raise MIRROR_API_ADDRESS_CHARACTERS if the API takes more by now",
            )
        return self._retrying(self._call, endpoint, path, query, is_json)

    def _address(self, endpoint: str, path: str, query: str) -> str:
        base = str(self._http.base_url).rstrip("/")
        return f"{base}/{endpoint}/{path}".rstrip("/") + (f"?{query}" if query else "")

    def _call(self, endpoint: str, path: str, query: str, is_json: bool) -> Body:
        call_id = self._book.begin(endpoint, f"{path}?{query}")
        try:
            answer, body = self._fetched(self._address(endpoint, path, query))
        except (httpx.TransportError, httpx.DecodingError) as error:
            self._book.end(call_id, None)
            raise NoAnswer(
                f"the API did not answer ({type(error).__name__})",
                "nothing is known about what was asked for",
                "it is asked again after a while; if it goes on, check the network and the status of the API",
            ) from error
        rows = _COUNT.search(body[:_SHOWN_CHARACTERS] + body[-_SHOWN_CHARACTERS:])
        count = int(rows.group(1)) if rows and answer.is_success else None
        checksum = hashlib.sha256(body).hexdigest()
        self._book.end(call_id, answer.status_code, count, checksum)
        self._refuse(answer, body)
        if is_json and "json" not in answer.headers.get("content-type", "").lower():
            raise BadBody(
                f"the API answered with {answer.headers.get('content-type') or 'no content type'} instead of JSON",
                "it is a page of a server on the way, not an answer",
                "it is kept in the quarantine and asked for again; if it goes on, look at the page",
                body,
            )
        return Body(body, checksum)

    def _fetched(self, address: str) -> tuple[httpx.Response, bytes]:
        """An answer and its body, written once as it comes: a body of 90 MB that the library first collects in pieces
        and then joins costs as much time again in memory alone.
        """
        content = io.BytesIO()
        with self._http.stream("GET", address) as answer:
            for piece in answer.iter_bytes():
                content.write(piece)
        body = content.getvalue()
        # Should the answer repeat the key, it stands neither in an error nor in a body that is kept.
        return answer, body.replace(self._key.encode(), b"***") if self._key else body

    def _refuse(self, answer: httpx.Response, body: bytes) -> None:
        """Raise the error that belongs to a status other than 200."""
        status = answer.status_code
        if answer.is_success:
            return
        said = _said(body)
        if status == httpx.codes.UNAUTHORIZED:
            raise KeyRefused(
                f"the API refused the key ({said})",
                "nothing can be pulled without a valid one",
                "set MIRROR_API_KEY to a subscription key of comtradedeveloper.un.org",
            )
        if status == httpx.codes.FORBIDDEN and "quota" in said.lower():
            raise self._book.spend()
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise RateExceeded(
                f"the API was called too fast ({said})",
                "it answers nothing until then",
                "it is asked again when the API said; lower MIRROR_API_CALLS_A_SECOND if it goes on",
                _seconds(answer, said),
            )
        if status == httpx.codes.REQUEST_URI_TOO_LONG:
            raise AddressTooLong(
                f"the API found an address too long ({said})",
                "the call was lost",
                "lower MIRROR_API_ADDRESS_CHARACTERS",
            )
        if answer.is_server_error or status == httpx.codes.REQUEST_TIMEOUT:
            raise ServerFailing(
                f"the API is failing (status {status}: {said})",
                "nothing is known about what was asked for",
                "it is asked again after a while; if it goes on, look at the status of the API",
            )
        if status == httpx.codes.FORBIDDEN or not answer.is_client_error:
            raise AccessRefused(
                f"the API lets nobody in here (status {status}: {said})",
                "no other request would be answered either",
                "check MIRROR_API_ADDRESS, what the key may ask for, and whether this machine is kept out",
            )
        raise RequestRefused(
            f"the API refused a request (status {status}: {said})",
            "what was asked for will not be answered, however often it is asked",
            "compare the request in the record of calls with the documentation of the API",
        )

    def _may_pass(self, error: BaseException) -> bool:
        """Passing errors are worth another attempt, unless the API told us to wait longer than we are willing to. A bad
        body is for the caller, who keeps it before asking again.
        """
        if isinstance(error, RateExceeded) and error.seconds is not None:
            return error.seconds <= self._limits.longest_wait_seconds
        return isinstance(error, Passing) and not isinstance(error, BadBody)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """As long as the API said, else exponentially longer with jitter."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RateExceeded) and error.seconds is not None:
            return error.seconds
        backoff = tenacity.wait_exponential_jitter(
            multiplier=self._limits.first_wait_seconds,
            max=self._limits.longest_wait_seconds,
            jitter=self._limits.first_wait_seconds,
        )
        return backoff(state)


def _said(body: bytes) -> str:
    """What the API said, short."""
    found = re.search(rb'"message"\s*:\s*"([^"]*)', body)
    text = (found.group(1) if found else body[:_SHOWN_CHARACTERS]).decode("utf-8", "replace")
    return text[:_SHOWN_CHARACTERS].strip()


def _seconds(answer: httpx.Response, said: str) -> float | None:
    found = _SECONDS.search(said)
    stated = found.group(1) if found else answer.headers.get("retry-after", "")
    return float(stated) if re.fullmatch(r"\d+(\.\d+)?", stated) else None


def _say_waiting(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    what = error.what if isinstance(error, ApiError) else "a call failed"
    seconds = state.next_action.sleep if state.next_action else 0.0
    LOG.info("%s; asking again in %.1f s (attempt %d)", what, seconds, state.attempt_number + 1)

"""What can go wrong between us and the API, one type each.

Belongs here: the errors and their words. Does not belong here: deciding what to do about one (`client`, the pull).
Every text says what is wrong, why it matters and how to mend it; none holds a key or an address with one.
"""

from __future__ import annotations


class ApiError(Exception):
    """Something went wrong with the API; `what`, `why_it_matters` and `how_to_mend` make up the text."""

    def __init__(self, what: str, why_it_matters: str, how_to_mend: str) -> None:
        super().__init__(f"{what}; {why_it_matters}; {how_to_mend}")
        self.what, self.why_it_matters, self.how_to_mend = what, why_it_matters, how_to_mend


class KeyRefused(ApiError):
    """401: the key is missing or not valid. Asking again changes nothing."""


class QuotaSpent(ApiError):
    """403, or our own count: no calls are left today. What has landed is kept; the next run goes on from there."""


class RequestRefused(ApiError):
    """The API understood the request and will not answer it (another status of the four hundreds)."""


class AccessRefused(RequestRefused):
    """403 without a word of quota, or sent elsewhere: it is not about what was asked, the next request fares alike."""


class AddressTooLong(ApiError):
    """The address would exceed what the API takes; the request must be narrowed."""


class Passing(ApiError):
    """Something that may pass: worth asking again after a while."""


class RateExceeded(Passing):
    """429: too many calls at once; `seconds` is how long the API told us to wait (None: it did not say)."""

    def __init__(self, what: str, why_it_matters: str, how_to_mend: str, seconds: float | None) -> None:
        super().__init__(what, why_it_matters, how_to_mend)
        self.seconds = seconds


class ServerFailing(Passing):
    """5xx: the API cannot answer now."""


class NoAnswer(Passing):
    """No answer at all: a time-out or a broken connection."""


class BadBody(Passing):
    """A body that is not an answer: cut short, of another type, or without what an answer has. `body` is kept whole."""

    def __init__(self, what: str, why_it_matters: str, how_to_mend: str, body: bytes) -> None:
        super().__init__(what, why_it_matters, how_to_mend)
        self.body = body

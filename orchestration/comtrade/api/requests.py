"""What is asked for: data sets, their versions, and requests for several of them at once.

Belongs here: identities, the address of a request, cutting a request into narrower ones. Does not belong here: which
requests a pull makes (`packing`) or sending them (`client`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import quote

_VERSION_DIGITS = 12
# A comma in a list is written as it is: %2C would take three of the few characters an address may have.
_KEPT_CHARACTERS = ","


@dataclass(frozen=True, order=True)
class DataSet:
    """What one reporter files for one period in one classification; codes as text, the reporter in three digits."""

    type_code: str
    frequency: str
    period: str
    reporter_code: str
    classification_code: str

    @property
    def period_key(self) -> str:
        """The period key, such as A-2017 or M-202101."""
        return f"{self.frequency}-{self.period}"

    @property
    def name(self) -> str:
        """A name for people and files: C-A-2017-012-H5."""
        return f"{self.type_code}-{self.frequency}-{self.period}-{self.reporter_code}-{self.classification_code}"


@dataclass(frozen=True, order=True)
class Version:
    """One version of a data set as the availability list states it.

    `row_count` counts every row, breakdowns included; `checksum` changes with the content; dates are release dates.
    """

    data_set: DataSet
    checksum: str
    row_count: int
    first_released: date | None
    last_released: date | None

    @property
    def delivery_id(self) -> str:
        """The identity of this version: 12 hex digits of the hash of data set and checksum."""
        said = f"{self.data_set.name}|{self.checksum}"
        return hashlib.sha256(said.encode()).hexdigest()[:_VERSION_DIGITS]

    @property
    def source_file(self) -> str:
        """The name under which its rows are cited."""
        return f"{self.data_set.name}-{self.checksum}"


@dataclass(frozen=True)
class DataRequest:
    """Rows of several reporters in several periods; `products` or `partners` narrow it (None: all of them).

    Breakdowns by customs procedure, transport and second partner are always asked for: which rows are totals is the
    contract's to say, and the number of rows then equals what the availability list states.
    """

    type_code: str
    frequency: str
    search_code: str
    periods: tuple[str, ...]
    reporters: tuple[str, ...]
    products: tuple[str, ...] | None = None
    partners: tuple[str, ...] | None = None

    @property
    def path(self) -> str:
        """`{typeCode}/{freqCode}/{clCode}` as it stands at the end of the endpoint's path."""
        return f"{self.type_code}/{self.frequency}/{self.search_code}"

    @property
    def parameters(self) -> dict[str, str]:
        """Query parameters in a fixed order; never a key."""
        found = {"reporterCode": _numbers(self.reporters), "period": ",".join(self.periods)}
        if self.products is not None:
            found["cmdCode"] = ",".join(self.products)
        if self.partners is not None:
            found["partnerCode"] = _numbers(self.partners)
        return found

    @property
    def query(self) -> str:
        """The query part of the address, commas unescaped."""
        return "&".join(f"{name}={quote(value, safe=_KEPT_CHARACTERS)}" for name, value in self.parameters.items())

    @property
    def request_id(self) -> str:
        """12 hex digits that name this request."""
        return hashlib.sha256(f"{self.path}?{self.query}".encode()).hexdigest()[:_VERSION_DIGITS]

    def narrower(self, products: Sequence[str], partners: Sequence[str]) -> tuple[DataRequest, ...]:
        """Requests that together ask for the same, each for less: by period, reporter, partner, chapter in turn.

        `products` and `partners` are all codes there are, in an order that keeps a chapter together; they are named
        one by one once the request is down to a single reporter and period. Partners come first: a list of them is
        short, while that of all products needs some fifteen addresses. () when it cannot be narrowed further.
        """
        if len(self.periods) > 1:
            return tuple(replace(self, periods=half) for half in _halves(self.periods))
        if len(self.reporters) > 1:
            return tuple(replace(self, reporters=half) for half in _halves(self.reporters))
        if self.partners is None:
            return tuple(replace(self, partners=half) for half in _halves(tuple(partners)))
        if len(self.partners) > 1:
            return tuple(replace(self, partners=half) for half in _halves(self.partners))
        if self.products is None:
            return tuple(replace(self, products=half) for half in _halves(tuple(products)))
        if len(self.products) > 1:
            return tuple(replace(self, products=half) for half in _halves(self.products))
        return ()


def _halves(codes: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    middle = (len(codes) + 1) // 2
    return tuple(half for half in (codes[:middle], codes[middle:]) if half)


def _numbers(codes: Sequence[str]) -> str:
    """Places as the API writes them: numbers without leading zeros."""
    return ",".join(str(int(code)) for code in codes)

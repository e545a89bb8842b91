"""The stand-in: one call in, one answer out, every call remembered.

Belongs here: endpoints, the order of refusals (address, path, key, limits, fault), the record of calls. Does not belong
here: HTTP itself (`app`, `server`).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from orchestration.reference import Reference, load_reference
from orchestration.settings import PROJECT_DIR
from orchestration.stand_in import answers, lists, tools
from orchestration.stand_in.answers import FILE_TYPE, JSON_TYPE, Answer
from orchestration.stand_in.bulk import BulkKind, bulk_file, bulk_id, bulk_name, written_rows
from orchestration.stand_in.calls import Call
from orchestration.stand_in.describe import Descriptions
from orchestration.stand_in.faults import Fault, Faults, refused_by, with_faulty_body, with_faulty_rows
from orchestration.stand_in.holdings import DataSet, Holdings
from orchestration.stand_in.keys import PREVIEW_ROWS, KeyLimits, KeyRing, fingerprint
from orchestration.stand_in.query import (
    CLASSIC,
    TARIFF_LINES,
    DataQuery,
    count_rows,
    fitting_rows,
    read_query,
    without_descriptions,
)
from orchestration.stand_in.reference_files import ReferenceFiles

ADDRESS_LIMIT = 4_096
KEY_PARAMETER = "subscription-key"
_KEYED = {"data", "bulk", "tools", "async"}
# The source hands out an address of its storage for this, which asks for no key.
_BATCH_FILE = "async/v1/file"
_BULK_KINDS: dict[str, BulkKind] = {"get": "final", "getclassic": "classic", "gettariffline": "tariffline"}


@dataclass(frozen=True)
class Asked:
    """One call: the address it came to ('http://127.0.0.1:8000'), its path, its parameters (names in lower case, the
    key taken out), its key and the length of the whole address.
    """

    address: str
    path: str
    parameters: Mapping[str, str]
    key: str | None
    address_length: int

    @property
    def parts(self) -> list[str]:
        """The path cut at its slashes."""
        return self.path.strip("/").split("/")

    @property
    def endpoint(self) -> str:
        """The first three parts in lower case, such as 'data/v1/get'."""
        return "/".join(self.parts[:3]).lower()


@dataclass(frozen=True)
class _Work:
    """A call that was let in: what it asks for, how many rows it may have and the fault it meets."""

    asked: Asked
    query: DataQuery
    row_limit: int
    fault: Fault | None


class StandIn:
    """The UN Comtrade API on these holdings; safe to call from several threads.

    `keys` maps each accepted key to its limits; the public preview needs none and gives `preview_rows`. Reference
    tables are read from the project's seeds unless given. `clock` gives seconds for the calls in a second.
    """

    def __init__(
        self,
        holdings: Holdings,
        keys: Mapping[str, KeyLimits] | None = None,
        preview_rows: int = PREVIEW_ROWS,
        faults: Faults | None = None,
        compresses: bool = False,
        reference: Reference | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holdings = holdings
        self.preview_rows = preview_rows
        self.compresses = compresses
        self.closing = threading.Event()
        self._faults = faults or Faults()
        self._keys = KeyRing(keys or {})
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._call_count = self._concerned_count = 0
        known = reference or load_reference(PROJECT_DIR / "dbt_project" / "seeds")
        self._names, self._files = Descriptions(known), ReferenceFiles(known)
        self._batches: dict[str, Asked] = {}
        self._makers = self._all_makers()

    @property
    def calls(self) -> list[Call]:
        """Every call answered so far, by number."""
        with self._lock:
            return sorted(self._calls, key=lambda call: call.number)

    def give_back_quota(self) -> None:
        """Begin a new day for every key."""
        with self._lock:
            self._keys.give_back_quota()

    def set_faults(self, faults: Faults) -> None:
        """Play these faults from now on; the count of calls that they go by starts anew."""
        with self._lock:
            self._faults, self._concerned_count = faults, 0

    def answer(self, asked: Asked) -> Answer:
        """Answer one call and remember it."""
        needs_key = asked.parts[0].lower() in _KEYED and asked.endpoint != _BATCH_FILE
        with self._lock:
            self._call_count += 1
            number, fault = self._call_count, self._next_fault(asked.endpoint)
            refused = self._refused(asked, needs_key)
        if refused is None and fault is not None:
            refused = refused_by(fault)
        if refused is not None:
            answer = refused
        else:
            limit = self._keys.limits[asked.key].rows if needs_key and asked.key else self.preview_rows
            work = _Work(asked, read_query(asked.parameters), limit, fault)
            answer = self._makers[asked.endpoint](work)
        call = Call(
            number,
            asked.endpoint,
            asked.path,
            dict(asked.parameters),
            fingerprint(asked.key),
            answer.status,
            answer.rows,
            fault.kind if fault is not None else None,
        )
        with self._lock:
            self._calls.append(call)
        return answer

    def _next_fault(self, endpoint: str) -> Fault | None:
        if not self._faults.concerns(endpoint):
            return None
        self._concerned_count += 1
        return self._faults.of_call(self._concerned_count)

    def _refused(self, asked: Asked, needs_key: bool) -> Answer | None:
        if asked.address_length > ADDRESS_LIMIT:
            return answers.address_too_long(ADDRESS_LIMIT)
        if asked.endpoint not in self._makers:
            return answers.not_found(asked.path)
        if not needs_key:
            return None
        admission = self._keys.admit(asked.key, self._clock())
        if admission == "missing_key":
            return answers.missing_key()
        if admission == "invalid_key":
            return answers.invalid_key()
        if admission == "out_of_quota" and asked.key:
            return answers.out_of_quota(self._keys.limits[asked.key].replenished_in_seconds)
        return answers.too_many_calls(1) if admission == "too_many_calls" else None

    def _all_makers(self) -> dict[str, Callable[[_Work], Answer]]:
        return {
            "data/v1/get": self._data,
            "public/v1/preview": self._data,
            "data/v1/gettariffline": self._tariff_lines,
            "public/v1/previewtariffline": self._tariff_lines,
            "data/v1/gettradematrix": self._matrix,
            "tools/v1/gettradematrix": self._matrix,
            "data/v1/getda": self._availability,
            "public/v1/getda": self._availability,
            "data/v1/getdatariffline": self._availability,
            "public/v1/getdatariffline": self._availability,
            "data/v1/getliveupdate": self._live_update,
            "data/v1/getmetadata": self._metadata,
            "public/v1/getmetadata": self._metadata,
            "data/v1/getsuv": self._unit_values,
            "tools/v1/gettradebalance": self._balance,
            "tools/v1/getbilateraldata": self._both_sides,
            "bulk/v1/get": self._bulk_list,
            "bulk/v1/getclassic": self._bulk_list,
            "bulk/v1/gettariffline": self._bulk_list,
            "bulk/v1/file": self._bulk_file,
            "async/v1/get": self._submitted,
            "async/v1/gettariffline": self._submitted,
            "async/v1/getda": self._batch_state,
            _BATCH_FILE: self._batch_file,
            "files/v1/app": self._reference_file,
        }

    def _data(self, work: _Work) -> Answer:
        return self._rows(work, self._sets(work), work.query.where)

    def _tariff_lines(self, work: _Work) -> Answer:
        return self._rows(work, self._sets(work), _both(work.query.where, TARIFF_LINES))

    def _matrix(self, work: _Work) -> Answer:
        """The matrix has no breakdowns and knows no edition: its classification is called TM."""
        return self._rows(work, self._sets(work, classification="HS"), _both(work.query.where, CLASSIC))

    def _rows(self, work: _Work, data_sets: Sequence[DataSet], where: pl.Expr | None) -> Answer:
        query = work.query
        if work.fault is not None and work.fault.kind == "revised" and data_sets:
            self.holdings.scale(data_sets[0].key, work.fault.factor)
            data_sets = [self.holdings.get(one.key) for one in data_sets]
        if query.count_only:
            nothing = fitting_rows([], None)
            return with_faulty_body(answers.json_answer(nothing, count_rows(data_sets, where)), work.fault)
        rows = fitting_rows(data_sets, where, _smaller(work.row_limit, query.max_records))
        return with_faulty_rows(self._described(rows, query), work.fault)

    def _described(self, rows: pl.DataFrame, query: DataQuery) -> pl.DataFrame:
        return self._names.fill(rows) if query.include_descriptions else without_descriptions(rows)

    def _availability(self, work: _Work) -> Answer:
        of_tariff_lines = work.asked.endpoint.endswith("tariffline")
        return with_faulty_rows(lists.availability(self._published(work), self._names, of_tariff_lines), work.fault)

    def _live_update(self, work: _Work) -> Answer:
        return with_faulty_rows(lists.live_update(self.holdings.data_sets(), self._names), work.fault)

    def _metadata(self, work: _Work) -> Answer:
        return with_faulty_rows(lists.metadata(self._sets(work)), work.fault)

    def _unit_values(self, work: _Work) -> Answer:
        rows = fitting_rows(self._sets(work), _both(work.query.where, CLASSIC))
        return with_faulty_rows(tools.standard_unit_values(rows).head(work.row_limit), work.fault)

    def _balance(self, work: _Work) -> Answer:
        rows = fitting_rows(self._sets(work), work.query.where)
        return with_faulty_rows(tools.trade_balance(self._described(rows, work.query)).head(work.row_limit), work.fault)

    def _both_sides(self, work: _Work) -> Answer:
        asked, query = work.asked, work.query
        rows = fitting_rows(self._sets(work), _both(query.where, CLASSIC))
        products = {name: asked.parameters[name] for name in ("cmdcode",) if name in asked.parameters}
        theirs = self.holdings.find(*_classified(asked), set(rows["partnerCode"]), query.periods)
        partner_rows = fitting_rows(theirs, _both(read_query(products).where, CLASSIC))
        found = tools.both_sides(self._described(rows, query), partner_rows)
        return with_faulty_rows(found.head(work.row_limit), work.fault)

    def _bulk_list(self, work: _Work) -> Answer:
        kind = _BULK_KINDS[work.asked.parts[2].lower()]
        return with_faulty_rows(lists.bulk_list(self._published(work), kind, work.asked.address), work.fault)

    def _bulk_file(self, work: _Work) -> Answer:
        identity = work.asked.parts[-1].lower()
        for one in self.holdings.data_sets():
            for kind in _BULK_KINDS.values():
                if bulk_id(one, kind) == identity:
                    return with_faulty_body(_file(bulk_file(one, kind), bulk_name(one)), work.fault)
        return answers.not_found(work.asked.path)

    def _submitted(self, work: _Work) -> Answer:
        said = f"{work.asked.endpoint}:{work.asked.path}:{sorted(work.asked.parameters.items())}"
        batch = hashlib.sha256(said.encode()).hexdigest()[:32]
        with self._lock:
            self._batches[batch] = work.asked
        body = f'{{"requestId":"{batch}","message":"Request is accepted. Check its state with batchId {batch}."}}'
        return with_faulty_body(Answer(202, body.encode()), work.fault)

    def _batch_state(self, work: _Work) -> Answer:
        wanted = work.asked.parameters.get("batchid")
        with self._lock:
            found = [batch for batch in self._batches if wanted in (None, batch)]
        columns = {"batchId": pl.String(), "status": pl.String(), "uri": pl.String()}
        rows = [(batch, "Completed", f"{work.asked.address}/async/v1/file/{batch}.txt.gz") for batch in found]
        return with_faulty_rows(pl.DataFrame(rows, schema=columns, orient="row"), work.fault)

    def _batch_file(self, work: _Work) -> Answer:
        with self._lock:
            asked = self._batches.get(work.asked.parts[-1].split(".")[0])
        if asked is None:
            return answers.not_found(work.asked.path)
        query = read_query(asked.parameters)
        where = _both(query.where, TARIFF_LINES) if asked.endpoint.endswith("tariffline") else query.where
        found = self.holdings.find(*_classified(asked), query.reporters, query.periods)
        rows = fitting_rows(found, where)
        return with_faulty_body(_file(written_rows(rows, found[0].dataset_code if found else 0), "batch"), work.fault)

    def _reference_file(self, work: _Work) -> Answer:
        body = self._files.get(work.asked.parts[-1], work.asked.address)
        if body is None:
            return answers.not_found(work.asked.path)
        return with_faulty_body(Answer(200, body, JSON_TYPE.split(";")[0]), work.fault)

    def _sets(self, work: _Work, classification: str | None = None) -> list[DataSet]:
        type_code, freq_code, named = _classified(work.asked)
        return self.holdings.find(
            type_code, freq_code, classification or named, work.query.reporters, work.query.periods
        )

    def _published(self, work: _Work) -> list[DataSet]:
        return [one for one in self._sets(work) if work.query.was_published(one.released[-1])]


def _classified(asked: Asked) -> tuple[str, str, str]:
    """Type, frequency and classification of a path; empty texts, which nothing fits, where it is shorter."""
    type_code, freq_code, classification = [*asked.parts[3:6], "", "", ""][:3]
    return type_code, freq_code, classification


def _both(one: pl.Expr | None, other: pl.Expr) -> pl.Expr:
    return other if one is None else one & other


def _smaller(limit: int, wanted: int | None) -> int:
    return limit if wanted is None else min(limit, max(wanted, 0))


def _file(body: bytes, name: str) -> Answer:
    disposition = f'attachment; filename="{name}"; size={len(body)}'
    return Answer(200, body, FILE_TYPE, {"Content-Disposition": disposition})


def compressed_for(stand_in: StandIn, answer: Answer, accepted: str) -> Answer:
    """The answer gzipped where the stand-in compresses and the caller takes it."""
    if stand_in.compresses and "gzip" in accepted and answer.content_type == JSON_TYPE:
        return answers.compressed(answer)
    return answer

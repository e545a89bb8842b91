"""Lists about data sets: availability, releases, metadata, files for bulk download.

Belongs here: one row per data set (or version) in the source's own field names. Does not belong here: the rows of a
data set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import polars as pl

from orchestration.stand_in.bulk import BulkKind, bulk_file, bulk_id
from orchestration.stand_in.describe import Descriptions
from orchestration.stand_in.holdings import DataSet

_TEXT, _WHOLE, _FLAG = pl.String(), pl.Int64(), pl.Boolean()
AVAILABILITY = {
    "datasetCode": _WHOLE,
    "typeCode": _TEXT,
    "freqCode": _TEXT,
    "period": _WHOLE,
    "reporterCode": _WHOLE,
    "reporterISO": _TEXT,
    "reporterDesc": _TEXT,
    "classificationCode": _TEXT,
    "classificationSearchCode": _TEXT,
    "isOriginalClassification": _FLAG,
    "isExtendedFlowCode": _FLAG,
    "isExtendedPartnerCode": _FLAG,
    "isExtendedPartner2Code": _FLAG,
    "isExtendedCmdCode": _FLAG,
    "isExtendedCustomsCode": _FLAG,
    "isExtendedMotCode": _FLAG,
    "totalRecords": _WHOLE,
    "datasetChecksum": _WHOLE,
    "firstReleased": _TEXT,
    "lastReleased": _TEXT,
}
LIVE_UPDATE = {
    "typeCode": _TEXT,
    "freqCode": _TEXT,
    "period": _WHOLE,
    "reporterCode": _WHOLE,
    "reporterDesc": _TEXT,
    "classificationCode": _TEXT,
    "status": _TEXT,
    "lastUpdated": _TEXT,
}
BULK_LIST = {
    "fileUrl": _TEXT,
    "fileSize": _TEXT,
    "isOriginalClassification": _FLAG,
    "reporterCode": _WHOLE,
    "freqCode": _TEXT,
    "typeCode": _TEXT,
    "classificationCode": _TEXT,
    "refPeriodId": _WHOLE,
    "period": _WHOLE,
    "publicationDate": _TEXT,
    "partitionKey": _TEXT,
    "rowKey": _TEXT,
    "timestamp": _TEXT,
    "eTag": _TEXT,
}
LIVE_UPDATE_ROWS = 100


def availability(data_sets: Iterable[DataSet], names: Descriptions, of_tariff_lines: bool = False) -> pl.DataFrame:
    """One row per data set; totalRecords and datasetChecksum are those of its current rows."""
    return pl.DataFrame(
        [_availability_row(one, names, of_tariff_lines) for one in data_sets], schema=AVAILABILITY, orient="row"
    )


def _availability_row(one: DataSet, names: Descriptions, of_tariff_lines: bool) -> dict[str, object]:
    current, key = one.current, one.key
    iso, name = names.place(key.reporter_code)
    return {
        "datasetCode": one.dataset_code,
        "typeCode": key.type_code,
        "freqCode": key.freq_code,
        "period": int(key.period),
        "reporterCode": key.reporter_code,
        "reporterISO": iso,
        "reporterDesc": name,
        "classificationCode": key.classification_code,
        "classificationSearchCode": current.search_code,
        "isOriginalClassification": current.is_original,
        "isExtendedFlowCode": "flowCode" in current.extended,
        "isExtendedPartnerCode": "partnerCode" in current.extended,
        "isExtendedPartner2Code": "partner2Code" in current.extended,
        "isExtendedCmdCode": "cmdCode" in current.extended,
        "isExtendedCustomsCode": "customsCode" in current.extended,
        "isExtendedMotCode": "motCode" in current.extended,
        "totalRecords": current.tariff_line_count if of_tariff_lines else current.row_count,
        "datasetChecksum": one.checksum,
        "firstReleased": _moment(one.released[0]),
        "lastReleased": _moment(one.released[-1]),
    }


def live_update(data_sets: Iterable[DataSet], names: Descriptions) -> pl.DataFrame:
    """The data sets released last, newest first."""
    newest = sorted(data_sets, key=lambda one: (-one.released[-1].toordinal(), one.key))[:LIVE_UPDATE_ROWS]
    rows = [
        {
            "typeCode": one.key.type_code,
            "freqCode": one.key.freq_code,
            "period": int(one.key.period),
            "reporterCode": one.key.reporter_code,
            "reporterDesc": names.place(one.key.reporter_code)[1],
            "classificationCode": one.key.classification_code,
            "status": "Published",
            "lastUpdated": _moment(one.released[-1]),
        }
        for one in newest
    ]
    return pl.DataFrame(rows, schema=LIVE_UPDATE, orient="row")


def metadata(data_sets: Iterable[DataSet]) -> pl.DataFrame:
    """One row per data set with `notes`: one note per version, oldest first."""
    rows = [
        {
            "datasetCode": one.dataset_code,
            "typeCode": one.key.type_code,
            "freqCode": one.key.freq_code,
            "period": int(one.key.period),
            "reporterCode": one.key.reporter_code,
            "classificationCode": one.key.classification_code,
            "notes": [
                {
                    "datasetCode": one.dataset_code,
                    "publicationDate": _moment(released),
                    "publicationNote": f"Version {number}",
                }
                for number, released in enumerate(one.released, start=1)
            ],
        }
        for one in data_sets
    ]
    note = pl.Struct({"datasetCode": _WHOLE, "publicationDate": _TEXT, "publicationNote": _TEXT})
    names = ("datasetCode", "typeCode", "freqCode", "period", "reporterCode", "classificationCode")
    schema = {name: AVAILABILITY[name] for name in names} | {"notes": pl.List(note)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def bulk_list(data_sets: Sequence[DataSet], kind: BulkKind, address: str) -> pl.DataFrame:
    """One row per data set with the address and size of its file."""
    return pl.DataFrame([_bulk_row(one, kind, address) for one in data_sets], schema=BULK_LIST, orient="row")


def _bulk_row(one: DataSet, kind: BulkKind, address: str) -> dict[str, object]:
    identity, reporter = bulk_id(one, kind), one.key.reporter_code
    released = one.released[-1]
    written = f"{released.isoformat()}T00:00:00.0000000"
    return {
        "fileUrl": f"{address}/bulk/v1/file/{reporter}/{identity}",
        "fileSize": f"{len(bulk_file(one, kind)) / 1024:.2f} KB",
        "isOriginalClassification": one.current.is_original,
        "reporterCode": reporter,
        "freqCode": one.key.freq_code,
        "typeCode": one.key.type_code,
        "classificationCode": one.key.classification_code,
        "refPeriodId": int(one.key.period if len(one.key.period) > 4 else f"{one.key.period}01"),
        "period": int(one.key.period),
        "publicationDate": f"{released.isoformat()}T00:00:00Z",
        "partitionKey": str(reporter),
        "rowKey": identity,
        "timestamp": f"{written}+00:00",
        "eTag": f"W/\"datetime'{written.replace(':', '%3A')}Z'\"",
    }


def _moment(day: date) -> str:
    return f"{day.isoformat()}T00:00:00"

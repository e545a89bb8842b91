"""Reference tables as the source publishes them under files/v1/app/reference.

Belongs here: which files there are and their fields, made from the project's seeds. Does not belong here: the facts
themselves (`dbt_project/seeds`).
"""

from __future__ import annotations

import json
from collections.abc import Callable

import polars as pl

from orchestration.comtrade.contract.schema import API_COLUMNS
from orchestration.reference import Reference
from orchestration.stand_in.bulk import BULK_COLUMNS

_Row = dict[str, object]
_EDITIONS = tuple(f"H{number}" for number in range(7))
_LEVEL_OF_PARENT = {2: 0, 4: 2, 6: 4}
_FREQUENCIES = {"A": "Annual", "M": "Monthly"}
# category, file, what it lists; the categories are those by which the official client asks.
CATALOGUE = (
    ("cmd:HS", "HS.json", "All editions of the Harmonized System"),
    *((f"cmd:{edition}", f"{edition}.json", f"Harmonized System, edition {edition}") for edition in _EDITIONS),
    ("reporter", "Reporters.json", "Reporters"),
    ("partner", "partnerAreas.json", "Partners"),
    ("flow", "tradeRegimes.json", "Flows"),
    ("customs", "CustomsCodes.json", "Customs procedures"),
    ("mot", "ModeOfTransportCodes.json", "Modes of transport"),
    ("mos", "ModeOfSupply.json", "Modes of supply"),
    ("qtyunit", "QuantityUnits.json", "Units of quantity"),
    ("freq", "Frequency.json", "Frequencies"),
    ("dataitem", "TradeDataItems.json", "Columns of answers and files"),
    ("country_groups", "country_groups.json", "Groups of places"),
    ("country_area_code_iso", "country_area_code_iso.json", "ISO codes of places"),
)


class ReferenceFiles:
    """The files by name; each is made when it is first asked for."""

    def __init__(self, reference: Reference) -> None:
        self._makers = _makers(reference)
        self._made: dict[str, bytes] = {}

    def get(self, name: str, address: str) -> bytes | None:
        """The bytes of a file, None when there is none of this name (upper and lower case are one). `address` is
        that of this server, for the list of files.
        """
        wanted = name.lower()
        if wanted == "listofreferences.json":
            return _json({"results": [_catalogue_row(*entry, address) for entry in CATALOGUE]})
        if wanted not in self._makers:
            return None
        if wanted not in self._made:
            self._made[wanted] = _json(self._makers[wanted]())
        return self._made[wanted]


def _makers(reference: Reference) -> dict[str, Callable[[], _Row]]:
    def listed(frame: pl.DataFrame, code: str, name: str) -> Callable[[], _Row]:
        return lambda: {"results": [{"id": key, "text": text} for key, text in frame.select(code, name).iter_rows()]}

    def edition(name: str) -> Callable[[], _Row]:
        return lambda: _products(reference, name)

    makers: dict[str, Callable[[], _Row]] = {
        "reporters.json": lambda: _places(reference, "reporter"),
        "partnerareas.json": lambda: _places(reference, "Partner"),
        "traderegimes.json": listed(reference.flows, "flow_code", "flow_name"),
        "customscodes.json": listed(reference.customs_procedures, "customs_code", "name"),
        "modeoftransportcodes.json": listed(reference.transport_modes, "mot_code", "name"),
        "modeofsupply.json": listed(reference.modes_of_supply, "mos_code", "name"),
        "quantityunits.json": lambda: _units(reference),
        "frequency.json": lambda: {"results": [{"id": code, "text": text} for code, text in _FREQUENCIES.items()]},
        "tradedataitems.json": _data_items,
        "country_groups.json": lambda: _groups(reference),
        "country_area_code_iso.json": lambda: _iso_codes(reference),
    }
    return makers | {f"{name.lower()}.json": edition(name) for name in ("HS", *_EDITIONS)}


def _catalogue_row(category: str, file: str, description: str, address: str) -> _Row:
    return {
        "category": category,
        "variable": category.split(":")[0],
        "description": description,
        "fileuri": f"{address}/files/v1/app/reference/{file}",
    }


def _places(reference: Reference, side: str) -> _Row:
    note = f"{side.lower()}Note"
    places = reference.places
    if side == "reporter":
        places = places.filter(pl.col("place_kind").is_in(["country", "historic", "group"]))
    results = []
    for row in places.iter_rows(named=True):
        code, name = int(row["place_code"]), row["place_name"]
        place: _Row = {"id": code, "text": name, f"{side}Code": code, f"{side}Desc": name, note: name}
        place |= {f"{side}CodeIsoAlpha2": row["iso2"], f"{side}CodeIsoAlpha3": row["iso3"]}
        place["entryEffectiveDate"] = f"{row['valid_from']}T00:00:00"
        if row["valid_to"] is not None:
            place["entryExpiredDate"] = f"{row['valid_to']}T00:00:00"
        results.append(place | {"isGroup": row["place_kind"] == "group"})
    return {"results": results}


def _products(reference: Reference, edition: str) -> _Row:
    named = reference.products.select("product_code", "product_name").unique("product_code", keep="first")
    goods = reference.hs_codes.filter(pl.col("product_level") > 0)
    codes = goods.join(named, on="product_code", how="left").sort("product_code")
    if edition != "HS":
        codes = codes.filter(pl.col("hs_revisions").str.split(" ").list.contains(edition))
    total = {"id": "TOTAL", "text": "TOTAL - All commodities", "parent": "-1", "isLeaf": 0, "aggrLevel": 0}
    columns = ("product_code", "product_level", "product_name")
    rows = [_product(*row) for row in codes.select(columns).iter_rows()]
    return {
        "more": False,
        "minimumInputLength": 2,
        "classCode": edition,
        "className": "Combined HS" if edition == "HS" else f"HS edition {edition}",
        "results": [total, *rows],
    }


def _product(code: str, level: int, name: str | None) -> _Row:
    parent = code[: _LEVEL_OF_PARENT[level]] or "TOTAL"
    text = f"{code} - {name}" if name else code
    return {"id": code, "text": text, "parent": parent, "isLeaf": int(level == 6), "aggrLevel": level}


def _units(reference: Reference) -> _Row:
    columns = ("quantity_unit_code", "abbreviation", "name")
    names = ("qtyCode", "qtyAbbr", "qtyDescription")
    units = reference.quantity_units.select(columns).iter_rows()
    return {"results": [dict(zip(names, (int(row[0]), *row[1:]), strict=True)) for row in units]}


def _data_items() -> _Row:
    in_files = {name.lower() for name in BULK_COLUMNS}
    return {
        "more": False,
        "results": [
            {
                "dataItem": name,
                "isInDataAPICommodity": str(name in API_COLUMNS),
                "isInBulkFileFinal": str(name.lower() in in_files),
            }
            for name in ("datasetCode", *API_COLUMNS)
        ],
    }


def _groups(reference: Reference) -> _Row:
    roles: dict[str, list[int]] = {}
    for code, role in reference.place_roles.select("place_code", "role").sort("role", "place_code").iter_rows():
        roles.setdefault(role, []).append(int(code))
    return {
        "results": [
            {"GroupID": role, "GroupDescription": role.replace("_", " "), "GroupDefinition": sorted(set(codes))}
            for role, codes in roles.items()
        ]
    }


def _iso_codes(reference: Reference) -> _Row:
    places = reference.places.filter(pl.col("iso3").is_not_null(), pl.col("valid_to").is_null())
    rows = places.select("place_code", "iso3", "place_name").iter_rows()
    return {"results": [{"country_area_code": int(code), "iso3": iso, "name": name} for code, iso, name in rows]}


def _json(said: _Row) -> bytes:
    return json.dumps(said, ensure_ascii=False).encode()

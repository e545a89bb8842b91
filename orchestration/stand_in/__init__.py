"""A local stand-in of the UN Comtrade API: the same paths, the same shapes, declared rows that somebody chose.

For tests, benchmarks and demonstrations: everything that fetches can be tried without a key, a quota or the network,
and every way in which the source is known to fail can be asked for by script.

    holdings = Holdings.from_folder(Path("data/sample/sample/declared"))
    stand_in = StandIn(holdings, keys={"a-key": KeyLimits()}, faults=Faults.scripted({3: Fault("too_many_calls")}))
    with serve(stand_in) as served:
        httpx.get(f"{served.address}/data/v1/get/C/A/HS", params={...}, headers={"Ocp-Apim-Subscription-Key": "a-key"})
    stand_in.calls      # every call: number, endpoint, query without key, status, rows, fault

As a process of its own: `python -m orchestration.stand_in --help`; it is steered over HTTP below /stand-in/:
`GET calls`, `POST quota` (given back), `POST revise` {"reporterCode": 56, "period": "2022", "factor": 1.1},
`POST faults` (the JSON form of `Faults`), `DELETE faults`.

What is known of the source and from where: paths and parameters from the official client `comtradeapicall`; envelope,
rows, bulk lists, bulk files and the two 401 bodies from recorded answers; 403, 429 and limits from public threads.
Not recorded, so only near the truth: the columns of tools/v1 and getSUV, getLiveUpdate and getMetadata beyond what the
official client reads, the text of 414, and that aggrLevel and isLeaf are null, as descriptions are, unless asked for.

Belongs here: answering. Does not belong here: the client of the API (`comtrade`), anything a run needs, and Dagster.
"""

from orchestration.stand_in.calls import Call
from orchestration.stand_in.faults import Fault, FaultError, Faults
from orchestration.stand_in.holdings import DataSet, DatasetKey, Holdings, HoldingsError
from orchestration.stand_in.keys import KeyLimits
from orchestration.stand_in.server import Served, serve
from orchestration.stand_in.stand_in import StandIn

__all__ = [
    "Call",
    "DataSet",
    "DatasetKey",
    "Fault",
    "FaultError",
    "Faults",
    "Holdings",
    "HoldingsError",
    "KeyLimits",
    "Served",
    "StandIn",
    "serve",
]

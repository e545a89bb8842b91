"""The false-discovery rates of a release beside those of a library, over every tested flow.

Belongs here: comparing what SQL computed with SciPy on the same p-values. Does not belong here: the rule in small (the
unit tests of int_mirror_flow_q_values).
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
from scipy.stats import false_discovery_control


def test_q_values_are_those_of_a_library_when_every_tested_flow_is_compared(sample_release: Path) -> None:
    with duckdb.connect(str(sample_release / "warehouse.duckdb"), read_only=True) as con:
        frequencies = [row[0] for row in con.execute("select distinct frequency from marts.fct_mirror_flow").fetchall()]
        for frequency in frequencies:
            tested = con.execute(
                "select p_value, q_value from marts.fct_mirror_flow where frequency = ? and p_value is not null",
                [frequency],
            ).fetchnumpy()
            assert tested["p_value"].size > 1_000
            expected = false_discovery_control(np.asarray(tested["p_value"]), method="bh")
            np.testing.assert_allclose(np.asarray(tested["q_value"]), expected, rtol=1e-12)
        untested = con.execute(
            "select count(*) from marts.fct_mirror_flow where p_value is null and q_value is not null"
        ).fetchone()
    assert sorted(frequencies) == ["A", "M"]
    assert untested == (0,)

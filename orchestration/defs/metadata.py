"""Row counts and value totals on materialised periods.

Belongs here: turning stage summaries into metadata. Does not belong here: computing them.
"""

from collections.abc import Sequence

import dagster as dg

from orchestration.pipeline.declarations import PeriodSummary


def period_metadata(
    context: dg.AssetExecutionContext, key: dg.AssetKey, summaries: Sequence[PeriodSummary]
) -> dict[str, int | float]:
    """Totals over all periods of this step; each period's own figures are attached to its partition."""
    for summary in summaries:
        context.add_asset_metadata(
            {
                "dagster/partition_row_count": summary.row_count,
                "value_usd": summary.value_usd,
                "was_unchanged": summary.was_current,
            },
            asset_key=key,
            partition_key=summary.period_key,
        )
    return {
        "dagster/row_count": sum(s.row_count for s in summaries),
        "value_usd": sum(s.value_usd for s in summaries),
        "periods": len(summaries),
        "unchanged_periods": sum(s.was_current for s in summaries),
    }

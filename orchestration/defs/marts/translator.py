"""How a dbt resource becomes an asset: key [layer, name], group, owner.

Belongs here: naming only. Does not belong here: running dbt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

if TYPE_CHECKING:
    from dagster_dbt import DbtProject

OWNER = "team:warehouse"
GROUPS = {"seeds": "reference", "staging": "staging", "intermediate": "staging", "marts": "marts"}
SOURCE_ASSETS = {
    "comtrade": dg.AssetKey(["declarations", "contracted"]),
    "passages": dg.AssetKey(["passages", "family_statistics"]),
    # Filled by the gate after the models are built: named apart, because an asset cannot come before and after another.
    "audit": dg.AssetKey(["release", "audit_results_file"]),
}
RECONCILED_ASSETS = {
    "sources": dg.AssetKey(["reconciliation", "pairs"]),
    "pairs": dg.AssetKey(["reconciliation", "pairs"]),
    "reliability": dg.AssetKey(["reconciliation", "parameters"]),
    "cif_model": dg.AssetKey(["reconciliation", "parameters"]),
    "chapter_effects": dg.AssetKey(["reconciliation", "parameters"]),
}


def layer_of(props: Mapping[str, Any]) -> str:
    """The layer of a dbt node: its seed folder or the first folder below models/."""
    if props["resource_type"] == "seed":
        return "seeds"
    folders = props.get("fqn", [])[1:-1]
    return str(folders[0]) if folders else "marts"


def check_description(test: Mapping[str, Any]) -> str:
    """What a dbt test says, of which column, and what happens when it does not hold."""
    sentence = str(test["name"]).replace("_", " ")
    rule = (test.get("test_metadata") or {}).get("name", "a query of its own")
    column = f" on column {test['column_name']}" if test.get("column_name") else ""
    stops = str(test["config"].get("severity", "error")).lower() == "error"
    ends = "a row that breaks it stops the release" if stops else "a row that breaks it is told with the release"
    return f"{sentence[:1].upper()}{sentence[1:]}: dbt test {rule}{column}; {ends}."


class Translator(DagsterDbtTranslator):
    """Keys are [layer, name]; sources point at the assets that write their Parquet files."""

    def __init__(self) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(enable_asset_checks=True, enable_duplicate_source_asset_keys=True)
        )

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """[layer, name] for models and seeds; the writing asset for sources."""
        if dbt_resource_props["resource_type"] == "source":
            source, table = dbt_resource_props["source_name"], dbt_resource_props["name"]
            if source in SOURCE_ASSETS:
                return SOURCE_ASSETS[source]
            return RECONCILED_ASSETS.get(table, dg.AssetKey(["reconciliation", "mirror_flows"]))
        return dg.AssetKey([layer_of(dbt_resource_props), str(dbt_resource_props["name"])])

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """The library's check with a description: the test's name is a sentence, beside it what asks for it."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=check_description(manifest["nodes"][unique_id]))

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """One group per layer, so that the page shows the passage from filed to published."""
        return GROUPS.get(layer_of(dbt_resource_props), "marts")

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Every model has an owner."""
        del dbt_resource_props
        return [OWNER]

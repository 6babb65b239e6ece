"""What OpenLineage is told of a task: the files that were read, and the reports that were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from voicebatch.airflow.storage import Place, join, local

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    from voicebatch.ledger import Run
    from voicebatch.models import RunSummary


def lineage_of(run: Run, summary: RunSummary | None) -> OperatorLineage:
    """Each input with its columns, its rows and its SHA-256 as its version; each report with its columns and rows.

    Without a ``summary`` no report was written.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(
        inputs=[_input(one) for one in run.manifest["inputs"]], outputs=[*_reports(summary)] if summary else []
    )


def _input(file: Mapping[str, Any]) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import data_quality_metrics_input_dataset, dataset_version_dataset

    return InputDataset(
        **_called(file["name"]),
        facets={
            "schema": _schema(file["header"]),
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=file["sha256"]),
        },
        inputFacets={
            "dataQualityMetrics": data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
                rowCount=file["rows"], columnMetrics={}
            )
        },
    )


def _reports(summary: RunSummary) -> Iterator[OutputDataset]:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    from voicebatch.reports import country, recipients

    countries = [column[0] for column in country.COLUMNS]
    for name, columns, rows in (
        ("country_report.csv", countries, len(summary.countries)),
        ("recipients.csv", list(recipients.COLUMNS), summary.rows.total),
    ):
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
        yield OutputDataset(
            **_called(join(summary.report_dir, name)),
            facets={"schema": _schema(columns)},
            outputFacets={"outputStatistics": statistics},
        )


def _schema(columns: list[str]) -> Any:
    from openlineage.client.facet_v2 import schema_dataset

    fields = [schema_dataset.SchemaDatasetFacetFields(name=name, type="string") for name in columns]
    return schema_dataset.SchemaDatasetFacet(fields=fields)


def _called(place: Place) -> dict[str, str]:
    """A data set's name by OpenLineage's rules: https://openlineage.io/docs/spec/naming"""
    if (here := local(place)) is not None:
        return {"namespace": "file", "name": str(here.absolute())}
    parts = urlsplit(str(place))
    return {"namespace": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", "name": parts.path.lstrip("/")}

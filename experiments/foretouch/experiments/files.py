"""Reading rows and specs from files, and writing results."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from foretouch.core.canonical import content_hash, file_hash
from foretouch.core.config import load_toml
from foretouch.core.errors import ConfigError, DataError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import Context, analyze, analyze_source
from foretouch.experiments.analysis.query import by_query
from foretouch.experiments.analysis.summary import Aggregates, SummarySource, total_of
from foretouch.experiments.parquet import aggregates_of_file, of_text
from foretouch.experiments.results import Results

if TYPE_CHECKING:
    import pandas as pd


def read_rows(path: Path) -> "pd.DataFrame":
    """A table of units from Parquet or CSV.

    Raises:
        DataError: The file is missing, empty of columns or unreadable.
    """
    import pandas as pd  # noqa: PLC0415 - aggregates never need it

    if not path.is_file():
        raise DataError(f"{path} is not there", hint="--rows FILE.parquet or FILE.csv")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}", hint="Parquet (.parquet) or CSV") from error


def read_spec(path: Path) -> ExperimentSpec:
    """An experiment spec from TOML or JSON.

    Raises:
        ConfigError: The file is missing or breaks the contract; the message names the field.
    """
    if path.suffix == ".toml":
        return load_toml(path, ExperimentSpec)
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        return ExperimentSpec.model_validate(raw)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is not there", hint="--spec FILE.toml or FILE.json") from error
    except (json.JSONDecodeError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ConfigError(f"{path}: " + "; ".join(lines)) from error


def read_aggregates(rows: Sequence[Path], spec: ExperimentSpec) -> Aggregates | None:
    """The sufficient statistics of files: added up from JSON, or streamed from Parquet by one query.

    Returns:
        ``None`` where only rows will do: a CSV, numbers or times that are text, or a spec with quantiles, caps,
        clusters or checks of rows.

    Raises:
        DataError: A file is missing or unreadable.
    """
    for path in rows:
        if not path.is_file():
            raise DataError(f"{path} is not there", hint="--rows FILE.parquet, FILE.csv or aggregates FILE.json")
    if all(path.suffix == ".json" for path in rows):
        return total_of([Aggregates.of_json(_json(path)) for path in rows])
    if len(rows) > 1:
        raise DataError("only aggregates (.json) add up; give one table of rows", hint="--save-aggregates FILE.json")
    if rows[0].suffix != ".parquet" or not by_query(spec) or of_text(rows[0], spec):
        return None
    return aggregates_of_file(rows[0], spec)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error


def analyze_files(
    rows: Path | Sequence[Path], spec: Path, out: Path, *, save_aggregates: Path | None = None
) -> Results:
    """Analyses a table of units, or aggregates, and writes the results JSON.

    Args:
        rows: Parquet or CSV; or one or more files of aggregates, which add up.
        spec: The experiment's spec.
        out: Where the results go.
        save_aggregates: Where the sufficient statistics go, if wanted.

    Raises:
        DataError: The rows cannot be read, or need more than sufficient statistics where those are wanted.
        ConfigError: The spec breaks its contract.
    """
    read = read_spec(spec)
    files = [rows] if isinstance(rows, Path) else list(rows)
    named = " ".join(f"--rows {path.name}" for path in files)
    hashes = [file_hash(path) if path.is_file() else "" for path in files]
    context = Context(
        command=f"foretouch bench experiment {named} --spec {spec.name} --out {out.name}",
        data_hash=content_hash([*hashes, content_hash(read)]),
    )
    aggregates = read_aggregates(files, read)
    if save_aggregates is not None:
        if aggregates is None:
            raise DataError("these metrics or files have no sufficient statistics", hint="Parquet, no quantile or cap")
        save_aggregates.write_text(json.dumps(aggregates.as_json()), encoding="utf-8")
    if aggregates is None:
        results = analyze(read_rows(files[0]), read, context)
    else:
        results = analyze_source(SummarySource(spec=read, of=aggregates), context)
    write_results(results, out)
    return results


def write_results(results: Results, out: Path) -> None:
    """Writes the results JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json_text(results), encoding="utf-8")


def json_text(results: Results) -> str:
    """The results as indented JSON."""
    return json.dumps(results.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

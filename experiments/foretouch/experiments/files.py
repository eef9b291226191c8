"""Reading rows and specs from files, and writing results."""

import json
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from pydantic import ValidationError

from foretouch.core.canonical import content_hash, file_hash
from foretouch.core.config import load_toml
from foretouch.core.errors import ConfigError, DataError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import Context, analyze
from foretouch.experiments.results import Results


def read_rows(path: Path) -> pd.DataFrame:
    """A table of units from Parquet or CSV.

    Raises:
        DataError: The file is missing, empty of columns or unreadable.
    """
    if not path.is_file():
        raise DataError(f"{path} is not there", hint="--rows FILE.parquet or FILE.csv")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path)
    except (OSError, ValueError, duckdb.Error) as error:
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


def analyze_files(rows: Path, spec: Path, out: Path) -> Results:
    """Analyses a table of units and writes the results JSON.

    Raises:
        DataError: The rows cannot be read.
        ConfigError: The spec breaks its contract.
    """
    read = read_spec(spec)
    context = Context(
        command=f"foretouch bench experiment --rows {rows.name} --spec {spec.name} --out {out.name}",
        data_hash=content_hash([file_hash(rows) if rows.is_file() else "", content_hash(read)]),
    )
    results = analyze(read_rows(rows), read, context)
    write_results(results, out)
    return results


def write_results(results: Results, out: Path) -> None:
    """Writes the results JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json_text(results), encoding="utf-8")


def json_text(results: Results) -> str:
    """The results as indented JSON."""
    return json.dumps(results.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

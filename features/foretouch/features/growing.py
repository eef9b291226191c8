"""Parquet files that grow by row groups, so that a large table never lies in memory whole."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq


class GrowingFiles:
    """Several Parquet files that are written together, whole or not at all.

    Use it as a context: where that ends well the files take their places, otherwise nothing is left of them.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = dict(paths)
        self._writers: dict[str, pq.ParquetWriter] = {}

    def add(self, name: str, table: pa.Table) -> None:
        """Appends rows.

        Args:
            name: Which of the files.
            table: Of the same schema every time.
        """
        writer = self._writers.get(name)
        if writer is None:
            draft = self._draft(name)
            draft.parent.mkdir(parents=True, exist_ok=True)
            writer = self._writers[name] = pq.ParquetWriter(draft, table.schema, compression="zstd")
        writer.write_table(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        for name, writer in self._writers.items():
            writer.close()
            if failure is None:
                self._draft(name).replace(self._paths[name])
            else:
                self._draft(name).unlink()

    def _draft(self, name: str) -> Path:
        path = self._paths[name]
        return path.with_name(f".{path.stem}.{os.getpid()}.tmp")

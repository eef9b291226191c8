"""``foretouch bench calibration``: can these probabilities be taken at their word?"""

from pathlib import Path
from typing import Any

from foretouch.core.canonical import file_hash
from foretouch.training.bench.tables import binary, need_columns, numbers, read_table, write_json
from foretouch.training.calibration_report import calibration_figures


def run(rows: Path, *, score: str, label: str, out: Path) -> dict[str, Any]:
    """Reads scores and labels, writes the JSON and returns it.

    Raises:
        DataError: A score is no probability, or the labels are not 0 and 1 with both present.
    """
    frame = read_table(rows)
    need_columns(frame, rows, score=score, label=label)
    made = calibration_figures(numbers(frame, score), binary(frame, label))
    made["inputs"] = {"rows_sha256": file_hash(rows)}
    write_json(made, out)
    return made

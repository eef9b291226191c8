"""All files of a report: pages, results as JSON, and where asked for a sheet and PDFs."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from foretouch.core.errors import DataError
from foretouch.experiments.files import write_results
from foretouch.experiments.report.page import write_reports
from foretouch.experiments.report.pdf import find_chromium, print_pdf
from foretouch.experiments.report.sheet import write_sheet
from foretouch.experiments.results import Results


def write_all(
    results: Results, folder: Path, languages: Sequence[str], *, sheet: bool = False, pdf: bool = False
) -> dict[str, Path]:
    """Writes the report's files.

    Args:
        results: What to show.
        folder: Made if absent.
        languages: ``en``, ``zh`` or both.
        sheet: Also ``experiment-<key>.csv``.
        pdf: Also a PDF per language.

    Returns:
        Paths by language, ``results``, ``sheet`` and ``pdf_<language>``.

    Raises:
        NotReadyError: A PDF is asked for and there is no Chromium; nothing has been written then.
    """
    if pdf:
        find_chromium()
    written = write_reports(results, folder, languages)
    data = folder / f"experiment-{results.key}.json"
    write_results(results, data)
    found = {**written, "results": data}
    if sheet:
        found["sheet"] = write_sheet(results, folder / f"experiment-{results.key}.csv")
    if pdf:
        for language in languages:
            found[f"pdf_{language}"] = print_pdf(written[language], written[language].with_suffix(".pdf"))
    return found


def read_results(path: Path) -> Results:
    """Results that were written as JSON, by ``bench experiment`` or by a report.

    Raises:
        DataError: The file is missing or holds no results.
    """
    try:
        return Results.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there", hint="foretouch bench experiment … --out FILE.json") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataError(f"{path} holds no results of an experiment: {str(error).splitlines()[0]}") from error

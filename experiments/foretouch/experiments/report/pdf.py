"""The report on paper: a page printed to PDF by the machine's own headless Chromium."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from foretouch.core.errors import NotReadyError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-first-run",
    "--no-pdf-header-footer",
)
SECONDS = 90


def find_chromium() -> str:
    """The program of a Chromium or Chrome on this machine.

    Raises:
        NotReadyError: There is none; the hint names the package.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise NotReadyError(
            "a PDF is printed by Chromium, and there is none on this machine",
            hint="apt-get install chromium (Debian, Ubuntu), or print the HTML file from any browser",
        )
    return found


def print_pdf(page: Path, out: Path) -> Path:
    """Prints an HTML file; nothing is fetched from anywhere.

    Args:
        page: A self-contained HTML file.
        out: The PDF; written over.

    Returns:
        ``out``.

    Raises:
        NotReadyError: There is no Chromium, or it did not print.
    """
    program = find_chromium()
    out.unlink(missing_ok=True)
    # Chromium refuses its sandbox to root, who prints a file of our own making here
    root = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="foretouch-print-", ignore_cleanup_errors=True) as profile:
        command = [program, *OPTIONS, *root, f"--user-data-dir={profile}", f"--print-to-pdf={out.resolve()}"]
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program, our own file
                [*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise NotReadyError(f"{program} did not print {page.name} in {SECONDS} s", hint="try again") from error
    if not out.is_file():
        told = done.stderr.strip().splitlines()
        raise NotReadyError(
            f"{program} did not print {page.name} (exit {done.returncode}): {told[-1] if told else 'no message'}",
            hint="print the HTML file from any browser",
        )
    return out

"""Quiet and working hours against an oracle, minute by minute: every IANA zone, every change of clock of two years.

    python benchmarks/quiet_hours.py [--first 2026] [--last 2027] [--out docs/results]

The oracle (``tests/serving/rules/clock_oracle.py``) knows offsets alone and shares no code with the service.
"""

import argparse
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from result import write

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.serving.rules import clock_oracle  # noqa: E402
from tests.serving.rules.test_clocks import RULES, differs  # noqa: E402

BEFORE = timedelta(hours=14)
HOURS = 40
"""Around a change: the local day before and after it."""


def main() -> int:
    """Compares, prints what differs, and keeps the figures; exit code 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=2026)
    parser.add_argument("--last", type=int, default=2027)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    arguments = parser.parse_args()
    started = time.perf_counter()
    zones = sorted(available_timezones())
    changes = minutes = 0
    found: list[str] = []
    for name in zones:
        zone = ZoneInfo(name)
        moments = clock_oracle.transitions(zone, arguments.first, arguments.last)
        changes += len(moments)
        for moment in moments or [datetime(arguments.first, 3, 29, tzinfo=UTC)]:
            found += differs(zone, moment - BEFORE, HOURS)
            minutes += HOURS * 60
    for line in found[:50]:
        print(line)
    write(
        arguments.out,
        "quiet-hours",
        command=f"python benchmarks/quiet_hours.py --first {arguments.first} --last {arguments.last}",
        seconds=time.perf_counter() - started,
        figures={
            "zones": len(zones),
            "changes_of_clock": changes,
            "rules": len(RULES),
            "minutes_compared": minutes * len(RULES),
            "differences": len(found),
        },
    )
    print(f"{len(zones)} zones, {changes} changes, {minutes * len(RULES)} minutes, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())

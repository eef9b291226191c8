"""What this part's commands print: tables for people, JSON for programs, progress on stderr when it is a terminal."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.table import Table

from foretouch.core.hints import with_workspace
from foretouch.core.terminal import print_json
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import GROUPS
from foretouch.features.initialise import Initialised
from foretouch.features.profile import Profile
from foretouch.features.quality import QualityReport, TableQuality


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner whose text follows the steps; silent where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(what) as status:
        yield lambda step: status.update(f"{what}: {step}")


def show_initialised(made: Initialised, *, as_json: bool) -> None:
    """Prints what ``init`` made and what to run next."""
    root = made.workspace.root
    if as_json:
        print_json({"workspace": str(root), "key_file": str(made.key_file), "rows": made.rows})
        return
    console = Console()
    if made.rows:
        table = Table("table", "rows", title=made.workspace.config.workspace.name)
        for name, count in made.rows.items():
            table.add_row(name, f"{count:,}")
        console.print(table)
    console.print(f"workspace   {root}", soft_wrap=True)
    console.print(f"API key     {made.key_file}", soft_wrap=True)
    following = "features build" if made.rows else "ingest --customers F --events F --offers F"
    console.print(f"next        foretouch {following} --workspace {root}", soft_wrap=True)


def show_profile(profile: Profile, *, as_json: bool) -> None:
    """Prints a customer's tags by group, in both languages, and how old they are."""
    if as_json:
        print_json(profile.as_json())
        return
    console = Console()
    table = Table("", "", "", title=f"customer {profile.customer_id}", show_header=False)
    for group, (english, chinese) in GROUPS.items():
        for index, tag in enumerate(tag for tag in profile.tags if tag.group == group):
            table.add_row(f"{english} {chinese}" if index == 0 else "", tag.text_en, tag.text_zh)
        table.add_section()
    console.print(table)
    if profile.as_of:
        console.print(f"as of {min(profile.as_of.values()).isoformat(timespec='seconds')}")
    if profile.stale:
        console.print(
            f"stale: {', '.join(profile.stale)}; next: {with_workspace('foretouch features build')}", soft_wrap=True
        )


def show_counts(title: str, counts: Mapping[str, int], following: str, *, as_json: bool) -> None:
    """Prints counts by name and the next command."""
    if as_json:
        print_json(dict(counts))
        return
    console = Console()
    table = Table("", "", title=title, show_header=False)
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    console.print(f"next  {with_workspace(following)}", soft_wrap=True)


def show_quality(report: QualityReport, workspace: Workspace, *, as_json: bool) -> None:
    """Prints the data-quality report and where refused rows lie."""
    if as_json:
        print_json(report.as_json())
        return
    console = Console()
    counts = Table(title="ingested", box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("table", "in", "accepted", "duplicates", "quarantined", "stored", "newest"):
        counts.add_column(title, justify="left" if title in {"table", "newest"} else "right")
    for table in report.tables:
        newest = "" if table.newest is None else f"{table.newest:%Y-%m-%d}, {table.age_days:.0f} d"
        numbers = (table.rows_in, table.accepted, table.duplicates, table.quarantined, table.stored)
        counts.add_row(table.table, *(f"{number:,}" for number in numbers), newest)
    console.print(counts)
    details = Table("table", "finding", "how many", title="data quality")
    for table in report.tables:
        for finding, amount in _findings(table):
            details.add_row(table.table, finding, amount)
    if details.row_count:
        console.print(details)
    if report.quarantined:
        console.print(f"refused rows  {workspace.quarantine}", soft_wrap=True)
    console.print(f"report        {workspace.data / 'quality.json'}", soft_wrap=True)
    if not report.lost:
        console.print(f"next          {with_workspace('foretouch features build')}", soft_wrap=True)


def _findings(table: TableQuality) -> Iterator[tuple[str, str]]:
    for reason, count in table.reasons.items():
        yield f"quarantined, {reason}", f"{count:,}"
    for name, share in table.missing.items():
        if share > 0:
            yield f"missing {name}", f"{share:.1%}"
    for name, count in table.outliers.items():
        if count:
            yield f"outliers in {name}", f"{count:,}"
    if table.bot_share:
        yield "events by bots", f"{table.bot_share:.1%}"
    if table.unknown_customers:
        yield "rows of unknown customers", f"{table.unknown_customers:.1%}"

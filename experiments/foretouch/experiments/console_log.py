"""Standing arms and explored arms in the terminal."""

from rich.console import Console
from rich.table import Table

from foretouch.experiments.log.arms import Arms
from foretouch.experiments.log.decompose import Decomposition


def print_decomposition(found: Decomposition, lang: str, console: Console | None = None) -> None:
    """Prints each arm's value, then a sentence per part."""
    console = console or Console()
    code = "zh" if lang == "zh" else "en"
    table = Table(title=f"{found.key}: {found.title.get(code, found.metric)}")
    for name in ("arm", "customers", "per customer", "95 % interval"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for arm in found.arms:
        mean = "-" if arm.mean is None else f"{arm.mean:.4g}"
        interval = "-" if arm.ci is None else f"{arm.ci[0]:.4g} … {arm.ci[1]:.4g}"
        table.add_row(arm.title.get(code, arm.arm), f"{arm.n:,}", mean, interval)
    console.print(table)
    for part in found.parts:
        for text in [part.text_en] * (lang != "zh") + [part.text_zh] * (lang != "en"):
            console.print(f"  {text}", soft_wrap=True, highlight=False)


def print_arms(found: Arms, console: Console | None = None) -> None:
    """Prints one line per arm; the plain mean is named for what it is."""
    console = console or Console()
    console.print(
        f"{found.rows:,} decisions at which the policy had a choice; left out: {found.without_choice:,} without one, "
        f"{found.overlapping:,} in an earlier one's window, {found.not_mature:,} not complete. Goal within "
        f"{found.window_days:g} days. {found.method}.",
        soft_wrap=True,
        highlight=False,
    )
    table = Table()
    for name in (
        found.by,
        "allowed",
        "chosen",
        "plain (biased)",
        "estimate",
        "95 % interval",
        "over no contact",
        "worth",
    ):
        table.add_column(name, justify="left" if name == found.by else "right")
    for row in found.arms:
        if row.withheld is not None or row.mean is None or row.ci is None:
            cells = [f"no number: {str(row.withheld).replace('_', ' ')}", "", "", "", ""]
        else:
            over = "-"
            if row.over_no_contact is not None and row.over_no_contact_ci is not None:
                low, high = row.over_no_contact_ci
                over = f"{100 * row.over_no_contact:+.2f} ({100 * low:+.2f} … {100 * high:+.2f})"
            cells = [
                "-" if row.plain is None else f"{100 * row.plain:.2f} %",
                f"{100 * row.mean:.2f} %",
                f"{100 * row.ci[0]:.2f} … {100 * row.ci[1]:.2f}",
                over,
                f"{row.effective or 0.0:,.0f}",
            ]
        table.add_row(row.arm, f"{row.allowed:,}", f"{row.chosen:,}", *cells)
    console.print(table)

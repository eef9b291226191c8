"""What ``foretouch skew`` prints."""

from rich import box
from rich.console import Console
from rich.table import Table

from foretouch.core.hints import with_workspace
from foretouch.core.terminal import print_json
from foretouch.training.log.skew import Skew


def show_skew(found: Skew, *, top: int, as_json: bool) -> None:
    """The features that differ most, by cause; JSON holds all of them."""
    if as_json:
        print_json({**found.as_json(), "table": found.features.to_dict("records")})
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{found.decisions} decisions, {len(found.features)} features; {found.unjoined} without a snapshot")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("feature", "differs", "older", "late event", "different", "largest", "missing: log", "history"):
        table.add_column(title, justify="left" if title == "feature" else "right")
    for line in found.features.head(top).to_dict("records"):
        shares = (line["differs"], line["older"], line["late_event"], line["different"])
        largest = "" if line["max_difference"] is None else f"{line['max_difference']:.4g}"
        missing = (f"{line['missing_in_log']:.1%}", f"{line['missing_in_history']:.1%}")
        table.add_row(str(line["feature"]), *(f"{share:.1%}" for share in shares), largest, *missing)
    console.print(table)
    if found.faults:
        console.print(f"no cause explains: {', '.join(found.faults)}", markup=False)
        console.print(with_workspace("next: foretouch features build, and look at what feeds them"), markup=False)

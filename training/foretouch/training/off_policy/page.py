"""A valuation as a table for people."""

from rich import box
from rich.console import Console
from rich.table import Table

from foretouch.training.off_policy.valuation import Amount, Valuation


def show_valuation(found: Valuation) -> None:
    """Prints what a candidate is worth: the sentence, the estimates, how good the evidence is, what was left out."""
    document, rows = found.document(), found.decisions
    console = Console(soft_wrap=True, highlight=False)
    for text in document["sentence"].values():
        console.print(text, markup=False)
    what = "revenue" if rows.reward_kind == "revenue" else "share of decisions followed by the goal"
    console.print(
        f"{found.candidate.name} ({found.candidate.version[:16]}) on {len(rows)} decisions of"
        f" {document['customers']} customers; reward: {what}",
        markup=False,
    )
    if found.since is not None:
        console.print(f"decided since {found.since.isoformat()}, later than all that it was tuned on", markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("estimator", "value", "standard error", "95 % interval"):
        table.add_column(title)
    for name, item in (("as logged", found.logged), *found.estimates.items(), ("dr less logged", found.difference)):
        table.add_row(name, *_cells(item))
    console.print(table)
    console.print(
        f"worth {found.ess:.0f} of {len(rows)} rows; the heaviest row has {found.max_weight_share:.1%} of the weight,"
        f" the top 1 % {found.top_weight_share:.0%}; choices never tried: {found.unsupported:.1%};"
        f" mean weight {found.mean_weight:.3f}"
    )
    if rows.timing_changed > 0.0:
        console.print(
            f"it sends {rows.timing_changed:.0%} of the logged contacts at other hours:"
            " weights are of candidate and slot"
        )
    console.print(f"reward model: {found.reward_model}", markup=False)
    for why, count in rows.left_out.items():
        console.print(f"left out: {count} {why}", markup=False)
    for reason in found.reasons:
        console.print(f"refused ({reason.code}): {reason.text}", markup=False)


def _cells(item: Amount) -> tuple[str, str, str]:
    return f"{item.value:.5g}", f"{item.se:.2g}", f"{item.low:.5g} … {item.high:.5g}"

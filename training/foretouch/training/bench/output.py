"""What the bench jobs print: the figures for people, or the same JSON as in the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from foretouch.core.terminal import print_json


def show_ope(result: Mapping[str, Any], out: Path, *, as_json: bool) -> None:
    """Estimates with intervals, then the verdict and why."""
    if _json(result, as_json=as_json):
        return
    console = Console()
    table = Table("estimator", "value", "se", "95 % interval")
    for name, line in result["estimators"].items():
        if line["value"] is not None:
            low, high = line["ci"]
            table.add_row(name, f"{line['value']:.5g}", f"{line['se']:.2g}", f"{low:.5g} … {high:.5g}")
    if table.rows:
        console.print(table)
        console.print(
            f"worth {result['ess']:.0f} of {result['n']} rows; the heaviest row carries"
            f" {result['max_weight_share']:.1%} of the weight; reward model: {result['reward_model']}",
            highlight=False,
        )
    console.print(f"verdict: {result['verdict']}", highlight=False)
    for reason in result["reasons"]:
        console.print(f"  {reason['code']}: {reason['text']}", highlight=False)
    _written(console, out)


def show_qini(result: Mapping[str, Any], out: Path, *, as_json: bool) -> None:
    """Areas and the verdict, then uplift by share."""
    if _json(result, as_json=as_json):
        return
    console = Console()
    table = Table("figure", "value", "95 % interval")
    for name in ("qini", "auuc"):
        low, high = result[name]["ci"]
        table.add_row(name, f"{result[name]['value']:.5g}", f"{low:.5g} … {high:.5g}")
    for share, value in result["uplift_at"].items():
        low, high = result["uplift_at_ci"][share]
        table.add_row(f"uplift in the top {float(share):.0%}", f"{value:.5g}", f"{low:.5g} … {high:.5g}")
    console.print(table)
    console.print(f"better than random: {'yes' if result['better_than_random'] else 'not shown'}", highlight=False)
    console.print(f"qini = {result['definitions']['qini']}", highlight=False)
    _written(console, out)


def show_calibration(result: Mapping[str, Any], out: Path, *, as_json: bool) -> None:
    """Every figure, one a line."""
    if _json(result, as_json=as_json):
        return
    console = Console()
    table = Table("figure", "value")
    for name, value in result.items():
        if isinstance(value, (int, float)):
            table.add_row(name, f"{value:.5g}")
    table.add_row("decile_lift", " ".join(f"{lift:.2f}" for lift in result["decile_lift"]))
    console.print(table)
    _written(console, out)


def show_table(summary: Mapping[str, Any], out: Path, *, as_json: bool) -> None:
    """What a job that writes predictions says about itself."""
    if _json(summary, as_json=as_json):
        return
    console = Console()
    for name, value in summary.items():
        console.print(f"{name:24s}{_plain(value)}", highlight=False)
    _written(console, out)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return str(value)


def _json(result: Mapping[str, Any], *, as_json: bool) -> bool:
    if as_json:
        print_json(result)
    return as_json


def _written(console: Console, out: Path) -> None:
    console.print(f"written to {out}", highlight=False, soft_wrap=True)

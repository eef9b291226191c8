"""``foretouch bench``: this part's jobs. Heavy imports happen inside each command, so that ``--help`` stays fast."""

from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption
from foretouch.core.groups import command_group

IdOption = Annotated[str, typer.Option("--id", help="Column with the customer's id.")]
OutJson = Annotated[Path, typer.Option("--out", help="JSON file to write.")]
OutTable = Annotated[Path, typer.Option("--out", help="Parquet (.parquet) or CSV (.csv) file to write.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of every draw.")]


def register(app: typer.Typer) -> None:
    """Adds this part's bench jobs to the root application."""
    group = command_group(app, "bench", "Benchmarks through the public door: any table of the shape.")
    group.command("lead")(lead)
    group.command("churn")(churn)
    group.command("uplift")(uplift)
    group.command("send-time")(send_time)
    group.command("ope")(ope)
    group.command("qini")(qini)
    group.command("calibration")(calibration)


def lead(
    *,
    train: Annotated[Path, typer.Option("--train", help="Rows with the label.")],
    test: Annotated[Path, typer.Option("--test", help="Rows to score; the label may be absent.")],
    id_column: IdOption,
    label: Annotated[str, typer.Option("--label", help="Column with 0 or 1.")],
    out: OutTable,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials", min=0, help="Tuning trials; 0: none. Without it 12 from 1,000 rows of the rarer label."
        ),
    ] = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Learn a label from one table and give its probability for every row of another."""
    from foretouch.core.terminal import waiting
    from foretouch.training.bench import output as bench_output
    from foretouch.training.bench.lead import run

    with waiting("searching, fitting, calibrating"):
        summary = run(train, test, id_column, label, out, trials, seed)
    bench_output.show_table(summary, out, as_json=json)


def uplift(
    *,
    train: Annotated[Path, typer.Option("--train", help="Randomised rows with arm and outcome.")],
    test: Annotated[Path, typer.Option("--test", help="Rows to score; only its columns are inputs.")],
    id_column: IdOption,
    treatment: Annotated[str, typer.Option("--treatment", help="Column with the arm.")],
    control: Annotated[str, typer.Option("--control", help="The arm that got nothing.")],
    outcome: Annotated[str, typer.Option("--outcome", help="Column with the outcome: 0/1 or an amount.")],
    out: OutTable,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Learn from randomised rows how much more each arm brings, for every row of another table."""
    from foretouch.core.terminal import waiting
    from foretouch.training.bench import output as bench_output
    from foretouch.training.bench.uplift import run

    with waiting("fitting T, X, DR and R learners"):
        summary = run(train, test, id_column, treatment, control, outcome, out, seed)
    bench_output.show_table(summary, out, as_json=json)


def churn(
    *,
    transactions: Annotated[Path, typer.Option("--transactions", help="One row per transaction.")],
    id_column: IdOption,
    time: Annotated[str, typer.Option("--time", help="Column with the time or date.")],
    value: Annotated[str, typer.Option("--value", help="Column with the amount.")],
    as_of: Annotated[str, typer.Option("--as-of", help="Only earlier rows are used; ISO date or time.")],
    horizon_days: Annotated[float, typer.Option("--horizon-days", min=1, help="How far to look ahead.")],
    out: OutTable,
    time_zone: Annotated[
        str, typer.Option("--time-zone", help="Zone of times without an offset, and of days.")
    ] = "UTC",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Who will not buy again, how often and for how much, from a transaction log."""
    from foretouch.core.terminal import waiting
    from foretouch.training.bench import output as bench_output
    from foretouch.training.bench.churn import run

    with waiting("fitting the purchase models"):
        summary = run(
            transactions,
            id_column=id_column,
            time=time,
            value=value,
            as_of=as_of,
            horizon_days=horizon_days,
            out=out,
            time_zone=time_zone,
            seed=seed,
        )
    bench_output.show_table(summary, out, as_json=json)


def send_time(
    *,
    events: Annotated[Path, typer.Option("--events", help="One row per event that shows activity.")],
    id_column: IdOption,
    time: Annotated[str, typer.Option("--time", help="Column with the time.")],
    time_zone: Annotated[
        str, typer.Option("--time-zone", help="The hours' zone, and that of times without an offset.")
    ],
    as_of: Annotated[str, typer.Option("--as-of", help="Only earlier rows are used; ISO date or time.")],
    out: OutTable,
    json: JsonOption = False,
) -> None:
    """In which local hours of the week each customer is active: 168 shares that sum to 1."""
    from foretouch.core.terminal import waiting
    from foretouch.training.bench import output as bench_output
    from foretouch.training.bench.send_time import run

    with waiting("learning hours"):
        summary = run(events, id_column=id_column, time=time, time_zone=time_zone, as_of=as_of, out=out)
    bench_output.show_table(summary, out, as_json=json)


def ope(
    *,
    log: Annotated[Path, typer.Option("--log", help="Rows: action, reward, pscore, position?, pi_<a>?, qhat_<a>?.")],
    out: OutJson,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="One row per action: action, pi or pi_pos<k>, qhat?.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Value a policy from the log of another: eleven estimators, or a refusal with its reasons."""
    from foretouch.training.bench import output as bench_output
    from foretouch.training.bench.ope import run

    bench_output.show_ope(run(log, policy, out), out, as_json=json)


def qini(
    *,
    rows: Annotated[Path, typer.Option("--rows", help="Scored rows of a randomised comparison.")],
    score: Annotated[str, typer.Option("--score", help="Column with the score; higher is treated first.")],
    treatment: Annotated[str, typer.Option("--treatment", help="Column with 0 (control) and 1 (treated).")],
    outcome: Annotated[str, typer.Option("--outcome", help="Column with the outcome.")],
    out: OutJson,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Qini, gain and uplift of a score, with intervals: is it better than random?"""
    from foretouch.training.bench import output as bench_output
    from foretouch.training.bench.qini import run

    made = run(rows, score=score, treatment=treatment, outcome=outcome, out=out, seed=seed)
    bench_output.show_qini(made, out, as_json=json)


def calibration(
    *,
    rows: Annotated[Path, typer.Option("--rows", help="Scored rows with what happened.")],
    score: Annotated[str, typer.Option("--score", help="Column with the probability.")],
    label: Annotated[str, typer.Option("--label", help="Column with 0 or 1.")],
    out: OutJson,
    json: JsonOption = False,
) -> None:
    """Whether probabilities can be taken at their word."""
    from foretouch.training.bench import output as bench_output
    from foretouch.training.bench.calibration import run

    bench_output.show_calibration(run(rows, score=score, label=label, out=out), out, as_json=json)

"""``foretouch evaluate-policy``: what another policy, or another version of a model, would have earned."""

from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Adds this command to the root application."""
    app.command("evaluate-policy")(evaluate_policy)


def evaluate_policy(
    policy: Annotated[
        str,
        typer.Argument(metavar="P", help="policy, a file of policies/ (bold), or MODEL@VERSION (offer@challenger)."),
    ],
    workspace: WorkspaceOption = None,
    since: Annotated[str | None, typer.Option("--since", help="Decided at or after: a date or a time.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Decided before: a date or a time.")] = None,
    tuned_through: Annotated[
        str | None, typer.Option("--tuned-through", help="The policy was chosen on outcomes up to then.")
    ] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="Most decisions, evenly spread.")] = 20_000,
    reward: Annotated[
        str | None, typer.Option("--reward", help="goal or revenue; default from reward.goal of foretouch.toml.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """What a policy would have earned, from the log that other policies wrote; exit 1 where the log cannot say."""
    from foretouch.core.moments import moment_of
    from foretouch.core.terminal import print_json, waiting
    from foretouch.core.workspace import Workspace
    from foretouch.training.off_policy.candidate import read_candidate
    from foretouch.training.off_policy.page import show_valuation
    from foretouch.training.off_policy.valuation import value_policy

    if reward not in (None, "goal", "revenue"):
        raise typer.BadParameter(f"{reward!r}, must be goal or revenue", param_hint="--reward")
    opened = Workspace.open(workspace)
    candidate = read_candidate(opened, policy, tuned_through=moment_of("--tuned-through", tuned_through))
    with waiting("deciding the log again"):
        found = value_policy(
            opened,
            candidate,
            since=moment_of("--since", since),
            until=moment_of("--until", until),
            sample=sample,
            reward="revenue" if reward == "revenue" else "goal" if reward == "goal" else None,
        )
    if json:
        print_json(found.document())
    else:
        show_valuation(found)
    if found.reasons:
        raise typer.Exit(1)

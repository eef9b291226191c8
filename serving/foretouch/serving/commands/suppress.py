"""``foretouch suppress add|remove|list``: who is never contacted."""

from datetime import datetime
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption

CustomerArgument = Annotated[str, typer.Argument(help="The customer's id.")]
ChannelOption = Annotated[str | None, typer.Option("--channel", help="Only this channel; absent is every channel.")]
PurposeOption = Annotated[str | None, typer.Option("--purpose", help="Only this purpose; absent is every purpose.")]


def register(app: typer.Typer) -> None:
    """Adds these commands to the root application."""
    suppress = typer.Typer(
        name="suppress",
        help="The suppression list: who is never contacted.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    suppress.command("add")(add)
    suppress.command("remove")(remove)
    suppress.command("list")(list_all)
    app.add_typer(suppress)


def add(
    customer: CustomerArgument,
    workspace: WorkspaceOption = None,
    channel: ChannelOption = None,
    purpose: PurposeOption = None,
    reason: Annotated[str, typer.Option("--reason", help="For people.")] = "",
    until: Annotated[str | None, typer.Option("--until", help="Time with an offset; absent is for good.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Put a customer on the list: respected by the very next decision."""
    from pydantic import ValidationError

    from foretouch.core.contact import SuppressionEntry
    from foretouch.core.errors import DataError
    from foretouch.core.state.opening import open_state
    from foretouch.core.terminal import print_json
    from foretouch.core.workspace import Workspace
    from foretouch.serving.runtime.suppression_list import suppress

    opened = Workspace.open(workspace)
    try:
        entry = SuppressionEntry.model_validate(
            {
                "customer_id": customer,
                "channel": channel or "*",
                "purpose": purpose or "*",
                "reason": reason,
                "until": None if until is None else _time_of(until),
            }
        )
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise DataError(wrong, hint="foretouch suppress add --help") from error
    with open_state(opened) as state:
        suppress(state, entry.customer_id, [entry], now=opened.clock.now(), actor="cli")
    if as_json:
        print_json(entry)
    else:
        typer.echo(f"customer {entry.customer_id} is not contacted: {_words(entry.channel, entry.purpose)}")


def remove(
    customer: CustomerArgument,
    workspace: WorkspaceOption = None,
    channel: ChannelOption = None,
    purpose: PurposeOption = None,
) -> None:
    """Take a customer off the list: every line, or those of a channel or purpose."""
    from foretouch.core.state.opening import open_state
    from foretouch.core.workspace import Workspace
    from foretouch.serving.runtime.suppression_list import unsuppress

    opened = Workspace.open(workspace)
    with open_state(opened) as state:
        gone, _ = unsuppress(state, customer, channel=channel, purpose=purpose, now=opened.clock.now(), actor="cli")
    for entry in gone:
        typer.echo(f"customer {customer} is off the list: {_words(entry.channel, entry.purpose)}")


def list_all(
    customer: Annotated[str | None, typer.Argument(help="Only this customer.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the list."""
    from foretouch.core.state.opening import open_state
    from foretouch.core.state.suppressions import list_suppressions
    from foretouch.core.terminal import print_json
    from foretouch.core.workspace import Workspace

    with open_state(Workspace.open(workspace)) as state:
        lines = list_suppressions(state.read(), customer)
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in lines])
        return
    for entry in lines:
        until = "for good" if entry.until is None else f"until {entry.until.isoformat()}"
        typer.echo(f"{entry.customer_id}\t{_words(entry.channel, entry.purpose)}\t{until}\t{entry.reason}")
    typer.echo(f"{len(lines)} lines", err=True)


def _words(channel: str, purpose: str) -> str:
    where = "every channel" if channel == "*" else channel
    return f"{where}, {'every purpose' if purpose == '*' else purpose}"


def _time_of(text: str) -> datetime:
    from foretouch.core.errors import DataError

    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"--until == {text!r}, must be a time such as 2026-03-01T00:00:00Z") from error
    if at.tzinfo is None:
        raise DataError(f"--until == {text!r}, must carry an offset, e.g. {text}Z")
    return at

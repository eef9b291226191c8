"""Command groups that several parts add to, such as ``foretouch bench``: whoever comes first makes the group."""

import typer


def command_group(app: typer.Typer, name: str, help_text: str) -> typer.Typer:
    """The group of that name on the application; made if no part has made it yet.

    Args:
        app: The root application.
        name: The group's name on the command line.
        help_text: What the group is for; the first part's text stays.
    """
    for group in app.registered_groups:
        if group.name == name and group.typer_instance is not None:
            return group.typer_instance
    made = typer.Typer(name=name, help=help_text, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(made, name=name)
    return made

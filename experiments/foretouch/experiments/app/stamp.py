"""How far the log has come: what a remembered analysis is compared with."""

from foretouch.core.state.connection import Connection


def log_stamp(connection: Connection) -> str:
    """The last decision, outcome and event of the log."""
    parts = [
        connection.execute(f"SELECT COALESCE(MAX(sequence), 0) FROM {table}").fetchone()[0]  # noqa: S608 - three names
        for table in ("decisions", "outcomes", "events")
    ]
    return "/".join(str(part) for part in parts)

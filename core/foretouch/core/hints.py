"""Next steps that can be pasted: a hint's ``foretouch`` commands get the ``--workspace`` of the call at hand.

Code that raises an error knows which command comes next, but not how the workspace was named on the command line;
``cli.WorkspaceOption`` notes that here.
"""

import re
import shlex
from contextvars import ContextVar

_given: ContextVar[str | None] = ContextVar("foretouch_workspace_option", default=None)

_COMMAND = re.compile(r"\bforetouch (?P<verb>[a-z][a-z-]*)(?P<rest>[^,;&()\n]*?)(?=\s*(?:[,;&()\n]|$))")
_WITHOUT_WORKSPACE = frozenset({"init", "bench", "simulate"})


def note_workspace(given: str | None) -> None:
    """Remembers what ``--workspace`` said; ``None`` where the environment or the current folder names it."""
    _given.set(given)


def with_workspace(text: str) -> str:
    """The text with ``--workspace`` added to each ``foretouch`` command that needs it and does not say it.

    Args:
        text: One or more commands with words around them; a command ends at ``,``, ``;``, ``&``, a bracket or the end.

    Returns:
        The same text where the call at hand named no workspace: then the next command needs to name none either.
    """
    given = _given.get()
    if given is None:
        return text

    def complete(found: re.Match[str]) -> str:
        words = found["rest"].split()
        if found["verb"] in _WITHOUT_WORKSPACE or {"--help", "--workspace", "-w"} & set(words):
            return found[0]
        return f"{found[0]} --workspace {shlex.quote(given)}"

    return _COMMAND.sub(complete, text)

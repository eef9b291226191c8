"""The experiments of a workspace by key."""

from foretouch.core.errors import NotFoundError
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.workspace import Workspace


def spec_of(workspace: Workspace, key: str) -> ExperimentSpec:
    """The spec of one experiment.

    Raises:
        NotFoundError: The workspace has no such experiment; the message lists those it has.
    """
    specs = {spec.key: spec for spec in workspace.experiments()}
    if key not in specs:
        known = ", ".join(sorted(specs)) or "none"
        raise NotFoundError(
            f"no experiment {key!r} in {workspace.experiments_folder} (there: {known})",
            hint=f"write {workspace.experiments_folder / key}.toml",
        )
    return specs[key]

"""What ``feast apply`` registers when it is run in this folder: the demo workspace's entity, views and services.

The objects themselves are made by ``foretouch.features.store``, the same ones that ``foretouch features apply`` uses.
"""

import os
from pathlib import Path

from foretouch.core.errors import ConfigError
from foretouch.core.workspace import CONFIG_FILE, WORKSPACE_VARIABLE, Workspace
from foretouch.features.store import feast_objects

DEMO = Path(__file__).resolve().parent.parent / ".demo" / "complete-journey"


def demo_workspace() -> Workspace:
    """The workspace that ``feature_store.yaml`` in this folder points to.

    Raises:
        ConfigError: It is not there, or ``FORETOUCH_WORKSPACE`` names another one.
    """
    named = os.environ.get(WORKSPACE_VARIABLE)
    if named and Path(named).resolve() != DEMO:
        raise ConfigError(
            f"{WORKSPACE_VARIABLE} names {named}, but feature_store.yaml here is the demo's",
            hint=f"foretouch features apply --workspace {named}, then feast -c {named}/features ui",
        )
    if not (DEMO / CONFIG_FILE).is_file():
        raise ConfigError("the demo workspace is not there", hint="make demo")
    return Workspace.open(DEMO)


# Feast finds objects by looking at this module's names.
entity, *views_and_services = feast_objects(demo_workspace())
globals().update({item.name: item for item in views_and_services})

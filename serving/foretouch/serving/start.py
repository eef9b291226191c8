"""Starts the data plane of one worker: opened, warm, watching for promotions, its memory out of the collector's way."""

import gc
from collections.abc import Callable

from foretouch.core.workspace import Workspace
from foretouch.serving.answers import Answers
from foretouch.serving.dataplane import Dataplane
from foretouch.serving.http_routes import Api
from foretouch.serving.intake import Intake
from foretouch.serving.refresh import RefreshQueue
from foretouch.serving.upkeep import Upkeep, catch_up
from foretouch.serving.warm_up import warm_up


def start() -> tuple[Api, Callable[[], None]]:
    """What the routes need, for the workspace that the environment names, and how to stop it.

    Raises:
        ForetouchError: The workspace's configuration is wrong, or its state cannot be opened.
    """
    plane = Dataplane(Workspace.open())
    refresh = RefreshQueue(plane.store, plane.clock.now, plane.telemetry)
    api = Api(plane=plane, intake=Intake(plane, refresh=refresh.add), answers=Answers(plane))
    warm_up(api)
    catch_up(plane, refresh.add)
    plane.bundles.watch()
    upkeep = Upkeep(plane)
    gc.collect()
    gc.freeze()

    def stop() -> None:
        upkeep.close()
        refresh.close()
        plane.close()

    return api, stop

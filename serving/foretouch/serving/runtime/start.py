"""Starts the data plane of one worker: opened, warm, watching for promotions, its memory out of the collector's way."""

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from foretouch.core.errors import ForetouchError
from foretouch.core.workspace import Workspace
from foretouch.serving.runtime.answers import Answers
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.intake import Intake
from foretouch.serving.runtime.refresh import RefreshQueue
from foretouch.serving.runtime.register import Register
from foretouch.serving.runtime.reservations import Reservations
from foretouch.serving.runtime.run import FAILED_FILE, RUN_VARIABLE, STARTED_FILE
from foretouch.serving.runtime.upkeep import Upkeep, catch_up
from foretouch.serving.runtime.warm_up import warm_up
from foretouch.serving.web.api import Api

PARENT_SECONDS = 1.0
COLLECT_AFTER = (10_000, 20, 50)
"""A request leaves next to nothing for the collector: looking after every 700 objects finds answers under way."""


def start_or_say_why() -> tuple[Api, Callable[[], None]]:
    """Starts; a first worker that cannot start tells the supervisor why and ends it, instead of being started for ever.

    Once a worker has started, one that comes later and fails leaves the others at work.

    Raises:
        ForetouchError: See ``start``.
    """
    folder = os.environ.get(RUN_VARIABLE)
    try:
        started = start()
    except ForetouchError as error:
        if folder is not None and not (Path(folder) / STARTED_FILE).exists():
            (Path(folder) / FAILED_FILE).write_text(f"{error.message}\n{error.hint or ''}", encoding="utf-8")
            os.kill(os.getppid(), signal.SIGTERM)
        raise
    if folder is not None:
        (Path(folder) / STARTED_FILE).touch()
        threading.Thread(target=end_with, args=(os.getppid(),), name="parent-watch", daemon=True).start()
    return started


def end_with(parent: int) -> None:
    """Ends this worker, cleanly, when the supervisor is gone: a killed service leaves nobody behind on its port."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def start() -> tuple[Api, Callable[[], None]]:
    """What the routes need, for the workspace that the environment names, and how to stop it.

    Raises:
        ForetouchError: The workspace's configuration is wrong, or its state cannot be opened.
    """
    plane = Dataplane(Workspace.open())
    refresh = RefreshQueue(plane.store, plane.clock.now, plane.telemetry)
    api = Api(
        plane=plane,
        intake=Intake(plane, refresh=refresh.add),
        answers=Answers(plane),
        reservations=Reservations(plane),
        register=Register(plane),
    )
    warm_up(api)
    catch_up(plane, refresh.add)
    plane.bundles.watch()
    upkeep = Upkeep(plane)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    plane.telemetry.pauses.start()

    def stop() -> None:
        plane.telemetry.pauses.stop()
        plane.telemetry.tally.move()
        upkeep.close()
        refresh.close()
        plane.close()

    return api, stop

"""One line of the doctor's report, and what every part of it looks at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from foretouch.core.workspace import Workspace
from foretouch.serving.runtime.settings import Settings, read_settings

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: Which thing, e.g. ``state``.
        level: ``ok``; ``warn``: it answers, and something should be done; ``fail``: it does not answer as it should.
        text: What was found.
        next_step: The command or edit that mends it; empty where nothing needs mending.
    """

    part: str
    level: Level
    text: str
    next_step: str = ""


class Patient:
    """A workspace that is looked at; nothing in it is changed.

    Args:
        root: Its folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace.

        Raises:
            ConfigError: There is none, or its ``foretouch.toml`` is wrong.
        """
        return Workspace.open(self.root)

    @cached_property
    def settings(self) -> Settings:
        """Every configuration file and the offers.

        Raises:
            ForetouchError: A file is missing or breaks its contract.
        """
        return read_settings(self.workspace)

    @cached_property
    def now(self) -> datetime:
        """The workspace's time."""
        return self.workspace.clock.now()


Part = Callable[[Patient], Iterator[Finding]]
"""Looks at one part of a workspace; what it raises is a finding too."""


def ok(part: str, text: str) -> Finding:
    """Nothing needs doing."""
    return Finding(part=part, level="ok", text=text)


def warn(part: str, text: str, next_step: str) -> Finding:
    """It answers, and something should be done."""
    return Finding(part=part, level="warn", text=text, next_step=next_step)


def fail(part: str, text: str, next_step: str) -> Finding:
    """It does not answer as it should."""
    return Finding(part=part, level="fail", text=text, next_step=next_step)

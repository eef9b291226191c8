"""What the data lack and how it was filled: one file, shown in every report made of them."""

from typing import Literal

from pydantic import Field

from foretouch.core.config import load_toml
from foretouch.core.schema import Contract
from foretouch.core.workspace import Workspace


class Assumption(Contract):
    """One thing that the data do not say."""

    id: str = Field(min_length=1)
    text_en: str
    text_zh: str
    value: str | float | bool


class Assumptions(Contract):
    """``assumptions.toml``."""

    schema_version: Literal[1] = 1
    assumptions: tuple[Assumption, ...] = ()


def assumptions(workspace: Workspace) -> tuple[Assumption, ...]:
    """Every assumption of a workspace; none where it has no ``assumptions.toml``.

    Raises:
        ConfigError: The file cannot be read.
    """
    if not workspace.assumptions_file.is_file():
        return ()
    return load_toml(workspace.assumptions_file, Assumptions).assumptions

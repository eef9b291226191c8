"""The models' names: light, so that the command line can list them without loading a contract."""

from typing import Literal

ModelName = Literal["lead", "churn", "value", "offer", "send-time", "uplift"]
MODEL_NAMES: tuple[ModelName, ...] = ("lead", "churn", "value", "offer", "send-time")
"""Those that can be trained today."""
Alias = Literal["champion", "challenger", "previous"]

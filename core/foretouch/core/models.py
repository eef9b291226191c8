"""The models' names: light, so that the command line can list them without loading a contract."""

from typing import Literal

ModelName = Literal["lead", "churn", "value", "offer", "send-time", "uplift"]
MODEL_NAMES: tuple[ModelName, ...] = ("lead", "churn", "value", "offer", "send-time")
"""Those that every workspace can train, from its history."""
SERVED_NAMES: tuple[ModelName, ...] = (*MODEL_NAMES, "uplift")
"""Those that the service loads where there is a champion of them; uplift is trained from a log with controls."""
Alias = Literal["champion", "challenger", "previous"]

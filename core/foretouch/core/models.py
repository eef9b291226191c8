"""The models' names: light, so that the command line can list them without loading a contract."""

from typing import Literal

ModelName = Literal["lead", "churn", "value", "offer", "send-time", "uplift"]
MODEL_NAMES: tuple[ModelName, ...] = ("lead", "churn", "value", "offer", "send-time")
"""Those that can be trained today."""
SERVED_NAMES: tuple[ModelName, ...] = (*MODEL_NAMES, "uplift")
"""Those that the service loads where there is a champion of them."""
Alias = Literal["champion", "challenger", "previous"]

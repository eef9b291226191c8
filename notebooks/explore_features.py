# %% [markdown]
# # What do the features say?
#
# Features as of a moment, the same for training and for service. Run `make demo` first; another workspace:
# `FORETOUCH_WORKSPACE=DIR`.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import features_of
from foretouch.features.store import training_frame
from foretouch.training.history import history_times

FOLDER = Path(os.environ.get("FORETOUCH_WORKSPACE", ".demo/complete-journey"))
if not FOLDER.is_absolute() and not FOLDER.exists():
    FOLDER = Path("..") / FOLDER  # opened from the notebooks' own folder
workspace = Workspace.open(FOLDER)
workspace.config.workspace.name, workspace.clock.now()

# %% [markdown]
# Every feature has a view, a kind and a sentence for people, in English and Chinese.

# %%
specs = features_of(workspace.config)
catalogue = pd.DataFrame([{"feature": spec.name, "view": spec.view, "is": spec.text_en} for spec in specs.values()])
catalogue.groupby("view").agg(features=("feature", "count"), such_as=("is", "first"))

# %% [markdown]
# Customers as the churn model sees them, at the last snapshot of the history: Feast's point-in-time join.

# %%
last = history_times(workspace)[-1]
customers = pd.read_parquet(workspace.data / "customers.parquet")["customer_id"].drop_duplicates()
spine = pd.DataFrame({"customer_id": customers, "as_of": pd.Timestamp(last)})
frame = training_frame(workspace, "churn", spine)
numbers = frame.select_dtypes("number")
summary = numbers.describe().T[["mean", "50%", "max"]].assign(missing=numbers.isna().mean())
summary.sort_values("missing", ascending=False).head(10).round(2)

# %% [markdown]
# Three numbers that marketers know, and how they hang together.

# %%
shown = ["days_since_activity", "frequency_90d", "monetary_90d"]
figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for axis, name in zip(axes, shown, strict=True):
    values = frame[name].dropna()
    axis.hist(values.clip(upper=values.quantile(0.99)), bins=40, color="#0072b2")
    axis.set_title(specs[name].text_en, fontsize=9)
    axis.set_ylabel("customers")
plt.show()
frame[shown].corr("spearman").round(2)

# %% [markdown]
# When customers are active: purchases by local hour of the week, everyone together.

# %%
rhythm = training_frame(workspace, "send-time", spine)["purchase_hours"].dropna()
hours = np.sum([np.asarray(row) for row in rhythm], axis=0).reshape(7, 24)
figure, axis = plt.subplots(figsize=(10, 2.6), layout="constrained")
image = axis.imshow(hours, aspect="auto", cmap="viridis")
axis.set_yticks(range(7), ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
axis.set_xlabel("local hour")
figure.colorbar(image, label="purchases")
plt.show()

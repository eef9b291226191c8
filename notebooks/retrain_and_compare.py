# %% [markdown]
# # Retrain a model and compare it in MLflow
#
# The same call as `foretouch train churn`, then what MLflow keeps of every run. Promotion stays with
# `foretouch promote churn`, behind its gate. Run `make demo` first; another workspace: `FORETOUCH_WORKSPACE=DIR`.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from foretouch.core.bundle import read_aliases, read_bundle
from foretouch.core.workspace import Workspace
from foretouch.serving.models.bundles import load_scorer
from foretouch.training import registry
from foretouch.training.data import score_frame
from foretouch.training.pipeline import load_task, train, training_run

FOLDER = Path(os.environ.get("FORETOUCH_WORKSPACE", ".demo/complete-journey"))
if not FOLDER.is_absolute() and not FOLDER.exists():
    FOLDER = Path("..") / FOLDER  # opened from the notebooks' own folder
workspace = Workspace.open(FOLDER)
MODEL = "churn"

# %% [markdown]
# No trials: the defaults of `training/search_spaces/churn.toml`. The same data and seed give the same model, byte for
# byte.

# %%
trained = train(training_run(workspace, trials=0), MODEL)
pd.DataFrame(
    {
        "baseline": item.baseline,
        "metric": item.metric,
        "model": item.model,
        "baseline's": item.reference,
        "difference": item.difference,
        "95 % from": item.low,
        "to": item.high,
        "better": item.wins,
    }
    for item in trained.comparisons
).round(4)

# %% [markdown]
# Every run of this model; `mlflow ui --backend-store-uri sqlite:///<workspace>/mlflow/mlflow.db` shows the same.

# %%
client = registry.connect(workspace)
experiment = client.get_run(str(trained.card.mlflow_run_id)).info.experiment_id
runs = client.search_runs([experiment], order_by=["attributes.start_time DESC"], max_results=10)
pd.DataFrame({"run": run.info.run_name, **run.data.metrics} for run in runs).set_index("run")[
    ["auc", "log_loss", "brier"]
].round(4)

# %% [markdown]
# Champion and challenger on the same later rows: is the new one's calibration as good?

# %%
run = training_run(workspace, trials=0)
test = load_task(MODEL).load(run).test
aliases = read_aliases(workspace.bundles, MODEL)
figure, axis = plt.subplots(figsize=(5, 4.2), layout="constrained")
axis.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1)
for alias, style in (("champion", "o-"), ("challenger", "s--")):
    if alias not in aliases:
        continue
    score = pd.Series(score_frame(load_scorer(workspace.bundles, MODEL, aliases[alias]), test.frame))
    bins = pd.qcut(score, 10, duplicates="drop")
    means = pd.DataFrame({"score": score, "label": test.label}).groupby(bins, observed=True).mean()
    axis.plot(means["score"], means["label"], style, label=f"{alias} (version {aliases[alias]})")
axis.set(xlabel="predicted probability of churn", ylabel="share that churned", xlim=(0, 1), ylim=(0, 1))
axis.legend()
plt.show()

# %%
read_bundle(workspace.bundles, MODEL, trained.card.version).card.notes

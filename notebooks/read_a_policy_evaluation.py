# %% [markdown]
# # Would another policy earn more? Reading an off-policy evaluation
#
# The same call as `foretouch evaluate-policy`, then what lies behind its figures. It needs a decision log with
# outcomes: run `make demo` first, whose simulated world has one; another workspace: `FORETOUCH_WORKSPACE=DIR`.

# %%
import os
from dataclasses import asdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from foretouch.core.workspace import Workspace
from foretouch.training.off_policy.candidate import read_candidate
from foretouch.training.off_policy.valuation import value_policy

FOLDER = Path(os.environ.get("FORETOUCH_WORKSPACE", ".demo/simulated"))
if not FOLDER.is_absolute() and not FOLDER.exists():
    FOLDER = Path("..") / FOLDER  # opened from the notebooks' own folder
workspace = Workspace.open(FOLDER)

# %% [markdown]
# A candidate that takes its scores more seriously than the policy in force: a quarter of its temperature. Any file in
# `policies/` can be evaluated, and any version of a model (`offer@challenger`).

# %%
now = workspace.policy()
folder = workspace.root / "policies"
folder.mkdir(exist_ok=True)
(folder / "bold.toml").write_text(
    f'schema_version = 1\nname = "bold"\nkind = "softmax"\ntemperature = {now.temperature / 4}\nfloor = {now.floor}\n',
    encoding="utf-8",
)
found = value_policy(workspace, read_candidate(workspace, "bold"), sample=2_000)
found.verdict, [reason.code for reason in found.reasons]

# %% [markdown]
# First: can the log carry the answer at all? Few effective rows, one row with much of the weight, or choices that were
# never tried make every figure below worthless, and then the verdict is a refusal.

# %%
pd.Series(
    {
        "decisions": len(found.decisions.reward),
        "effective sample size": found.ess,
        "largest share of the weight in one row": found.max_weight_share,
        "share of choices that were never tried": found.unsupported,
        "mean weight (about 1 where the logged probabilities are right)": found.mean_weight,
    }
).round(4).to_frame("")

# %% [markdown]
# Then the estimators. They lean on different things: `ips` on the logged probabilities alone, `dm` on a model of the
# reward alone, `dr` on either being right. Where they agree there is little to argue about; where they do not, believe
# `dr` and look at the weights.

# %%
table = pd.DataFrame({name: asdict(item) for name, item in {"as logged": found.logged, **found.estimates}.items()}).T
figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
position = np.arange(len(table))[::-1]
axis.errorbar(table["value"], position, xerr=[table["value"] - table["low"], table["high"] - table["value"]], fmt="o")
axis.axvline(found.logged.value, color="#9aa5b1", linewidth=1)
axis.set_yticks(position, list(table.index))
axis.set_xlabel("reward per decision, 95 % interval")
plt.show()
table.round(5)

# %% [markdown]
# The figure to act on is the paired difference to what was logged: same decisions, same luck.

# %%
pd.Series(asdict(found.difference)).round(5).to_frame("bold less what was logged")

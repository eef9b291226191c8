"""The same inputs through the Open Bandit Pipeline (obp 0.5.7), in an environment of its own (Python 3.9).

    python3.9 -m venv PEER && PEER/bin/pip install --no-deps obp==0.5.7
    PEER/bin/pip install 'numpy<1.24' 'scipy<1.10' 'pandas<1.6' scikit-learn==1.0.2 pyyaml tqdm matplotlib seaborn
    PEER/bin/python benchmarks/peers/ope_peer.py FOLDER

Reads every ``<case>.npz`` of a folder (``reward``, ``action``, ``pscore``, ``position``, and ``action_dist`` and
``qhat`` of shape (n, actions, positions)) and writes ``<case>.json`` beside it: estimator to value. Its estimators are
plain NumPy, so that only their module is loaded: the rest of the package needs torch.
"""

import json
import sys
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np

PACKAGE = distribution("obp")
for name in ("obp", "obp.ope"):  # packages without what their __init__ loads
    module = ModuleType(name)
    module.__path__ = [str(PACKAGE.locate_file(name.replace(".", "/")))]
    sys.modules[name] = module
sys.modules.setdefault("torch", mock.MagicMock())

from obp.ope.estimators import (  # type: ignore[import-not-found]  # noqa: E402
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkage,
    InverseProbabilityWeighting,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobust,
)

ESTIMATORS = {
    "ips": InverseProbabilityWeighting(),
    "ips_clip20": InverseProbabilityWeighting(lambda_=20.0),
    "snips": SelfNormalizedInverseProbabilityWeighting(),
    "dm": DirectMethod(),
    "dr": DoublyRobust(),
    "dr_clip20": DoublyRobust(lambda_=20.0),
    "sndr": SelfNormalizedDoublyRobust(),
    "switch_dr_tau5": SwitchDoublyRobust(lambda_=5.0),
    "switch_dr_tau20": SwitchDoublyRobust(lambda_=20.0),
    "dros_lambda1": DoublyRobustWithShrinkage(lambda_=1.0),
    "dros_lambda100": DoublyRobustWithShrinkage(lambda_=100.0),
}


def main(folder: Path) -> None:
    """Values of every estimator for every case of a folder."""
    for path in sorted(folder.glob("*.npz")):
        case = np.load(path)
        given = {
            "reward": case["reward"],
            "action": case["action"],
            "pscore": case["pscore"],
            "position": case["position"],
            "action_dist": case["action_dist"],
            "estimated_rewards_by_reg_model": case["qhat"],
        }
        values = {name: float(item.estimate_policy_value(**given)) for name, item in ESTIMATORS.items()}
        made = {"library": f"obp {PACKAGE.version}", "values": values}
        path.with_suffix(".json").write_text(json.dumps(made), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

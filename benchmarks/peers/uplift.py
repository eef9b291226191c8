"""Uplift by scikit-uplift, causalml and econml: scores of held-out rows, in an environment that has them.

    python benchmarks/peers/uplift.py FOLDER

``FOLDER/work.json`` names the jobs: each a train table, a test table and input columns; the scores of each method are
written beside them. Every method gets the same LightGBM base learner: the tree parameters of work.json.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")


def learners(parameters: dict[str, Any], binary: bool) -> tuple[Any, Any]:
    """Makes a regressor, and a classifier where the outcome is 0 or 1 (else another regressor)."""
    from lightgbm import LGBMClassifier, LGBMRegressor  # noqa: PLC0415 - not in the project's environment as such

    return (
        lambda: LGBMRegressor(**parameters),
        (lambda: LGBMClassifier(**parameters)) if binary else (lambda: LGBMRegressor(**parameters)),
    )


def by_sklift(x: Any, w: Any, y: Any, at: Any, make: Any, binary: bool) -> dict[str, Any]:  # noqa: PLR0917 - x, w, y as the libraries have them
    """Two models, two models with the control's prediction as an input, one model, and the transformed class."""
    from sklift.models import (  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
        ClassTransformation,
        SoloModel,
        TwoModels,
    )

    _, outcome = make
    found = {
        "scikit-uplift two models": TwoModels(outcome(), outcome(), method="vanilla"),
        "scikit-uplift dependent models": TwoModels(outcome(), outcome(), method="ddr_control"),
        "scikit-uplift solo model": SoloModel(outcome()),
    }
    if binary:
        found["scikit-uplift class transformation"] = ClassTransformation(outcome())
    # It knows names of columns only.
    frame, other = (pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])]) for values in (x, at))
    return {
        name: np.asarray(model.fit(frame, pd.Series(y), pd.Series(w)).predict(other)) for name, model in found.items()
    }


def by_causalml(x: Any, w: Any, y: Any, at: Any, make: Any) -> dict[str, Any]:
    """T, X, R and DR learners, with the share of the treated as the propensity."""
    from causalml.inference.meta import (  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
        BaseDRRegressor,
        BaseRRegressor,
        BaseTRegressor,
        BaseXRegressor,
    )

    regressor, _ = make
    share = float(w.mean())
    own = {
        "causalml T": (BaseTRegressor(learner=regressor()), {}),
        "causalml X": (BaseXRegressor(learner=regressor()), {"p": np.full(len(w), share)}),
        "causalml R": (BaseRRegressor(learner=regressor()), {"p": np.full(len(w), share)}),
        "causalml DR": (BaseDRRegressor(learner=regressor()), {"p": np.full(len(w), share)}),
    }
    scores = {}
    for name, (model, given) in own.items():
        model.fit(X=x, treatment=w, y=y, **given)
        more = {"p": np.full(len(at), share)} if name == "causalml X" else {}
        scores[name] = np.asarray(model.predict(at, **more)).ravel()
    return scores


def by_econml(x: Any, w: Any, y: Any, at: Any, make: Any) -> dict[str, Any]:
    """T, X and DR learners, and double machine learning."""
    from econml.dml import NonParamDML  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
    from econml.dr import DRLearner  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
    from econml.metalearners import (  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
        TLearner,
        XLearner,
    )
    from sklearn.dummy import DummyClassifier  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    regressor, _ = make
    known = DummyClassifier(strategy="prior")
    own = {
        "econml T": TLearner(models=regressor()),
        "econml X": XLearner(models=regressor(), propensity_model=known),
        "econml DR": DRLearner(
            model_propensity=known, model_regression=regressor(), model_final=regressor(), cv=3, random_state=7
        ),
        "econml DML": NonParamDML(
            model_y=regressor(), model_t=known, model_final=regressor(), discrete_treatment=True, cv=3, random_state=7
        ),
    }
    return {name: np.asarray(model.fit(y, w, X=x).effect(at)).ravel() for name, model in own.items()}


def main() -> None:
    """Runs every job of the folder."""
    folder = Path(sys.argv[1])
    work = json.loads((folder / "work.json").read_text(encoding="utf-8"))
    for job in work["jobs"]:
        train, test = (pd.read_parquet(folder / job[name]) for name in ("train", "test"))
        inputs, binary = job["inputs"], bool(job["binary"])
        x, at = (part[inputs].to_numpy(dtype=np.float64) for part in (train, test))
        w, y = train["treated"].to_numpy(dtype=int), train["outcome"].to_numpy(dtype=np.float64)
        parameters = {**work["parameters"], "min_child_samples": max(len(train) // 100, 50)}
        make = learners(parameters, binary)
        scores = {
            **by_sklift(x, w, y, at, make, binary),
            **by_causalml(x, w, y, at, make),
            **by_econml(x, w, y, at, make),
        }
        pd.DataFrame(scores).to_parquet(folder / job["out"], index=False)
        print(job["out"], flush=True)
    versions = {name: version(name) for name in ("scikit-uplift", "causalml", "econml", "lightgbm", "numpy")}
    (folder / "versions.json").write_text(json.dumps(versions), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The uplift page: laws of the money curve, honesty about noise and about the best of many, its page."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.errors import DataError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.report.catalogue import LANGUAGES
from foretouch.experiments.report.page import render
from foretouch.experiments.results import Results
from foretouch.experiments.uplift.contract import UpliftResults
from foretouch.experiments.uplift.judge import Worth, judge_score
from foretouch.experiments.uplift.money import Z, gains_of, money_curve
from foretouch.experiments.uplift.page import render_uplift
from foretouch.experiments.uplift.quadrants import quadrants
from foretouch.training.uplift.curve import Randomised

NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")


def world(n: int = 6000, seed: int = 3, *, noise: bool = False) -> pd.DataFrame:
    """A contact helps those above the middle of x by up to 30 points, and puts off those below by up to 10."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, n)
    treated = (rng.random(n) < 0.5).astype(float)
    chance = 0.3 + treated * np.where(x > 0.0, 0.3 * x, 0.25 * x)
    outcome = (rng.random(n) < chance).astype(float)
    return pd.DataFrame({"score": rng.random(n) if noise else x, "t": treated, "y": outcome})


def judged(frame: pd.DataFrame, **given: object) -> UpliftResults:
    columns = [frame[name].to_numpy(dtype=np.float64) for name in ("score", "t", "y")]
    options: dict[str, object] = {"names": ("x", "bought"), "title": "Spring", "draws": 100, **given}
    return judge_score(*columns, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> UpliftResults:
    return judged(world(), worth=Worth(value=10.0, cost=0.5, currency="EUR"))


def test_a_score_that_works_is_found_and_noise_is_not(found: UpliftResults) -> None:
    assert found.better_than_random
    assert not judged(world(noise=True)).better_than_random


def test_money_of_everyone_is_the_average_effect_at_its_prices_and_nobody_costs_nothing(found: UpliftResults) -> None:
    assert found.money is not None
    assert found.money.points[0].money == 0.0
    assert found.money.points[-1].money == pytest.approx(1000.0 * (10.0 * found.average.value - 0.5))


def test_the_best_share_is_where_it_was_planted(found: UpliftResults) -> None:
    """A contact pays where 10 x 0.3 x > 0.5: x above 1/6, the top 42 %."""
    assert found.money is not None
    best = found.money.optimum
    assert best.share_ci[0] <= 5.0 / 12.0 <= best.share_ci[1]
    assert best.flat[0] <= best.share <= best.flat[1]
    assert best.flat[0] <= 5.0 / 12.0 <= best.flat[1]
    assert best.pays
    assert best.beats_everyone
    planted = 1000.0 * 0.5 * 10.0 * 0.3 * (1.0 - 1.0 / 36.0) / 2.0 - 1000.0 * 0.5 * 5.0 / 12.0
    assert best.ci[0] <= planted <= best.ci[1]


def test_the_best_of_many_shares_is_corrected_for_luck() -> None:
    """Nothing works and a contact is free: the best share still looks good, and the corrected figure does so less."""
    looks, corrected, pays = [], [], 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        rows = Randomised(rng.random(600), (rng.random(600) < 0.5).astype(float), rng.normal(size=600))
        best = money_curve(gains_of(rows, seed=seed, draws=60), value=1.0, cost=0.0, currency=None).optimum
        looks.append(best.money + best.optimism)
        corrected.append(best.money)
        pays += best.pays
    assert np.mean(looks) > 20.0
    assert abs(np.mean(corrected)) < 0.5 * np.mean(looks)
    assert pays <= 4  # 25 draws at 2.5 %: 5 or more have a chance below 1 in 1,000


def test_kinds_are_bounded_only_where_the_rows_allow(found: UpliftResults) -> None:
    by_kind = {item.kind: item for item in found.quadrants}
    assert set(by_kind) == {"persuaded", "put_off"}
    assert 0.0 < by_kind["persuaded"].least <= 0.075 <= by_kind["persuaded"].most
    assert 0.0 < by_kind["put_off"].least <= 0.0625 <= by_kind["put_off"].most
    few = world(400)
    assert quadrants(*(few[name].to_numpy(dtype=np.float64) for name in ("score", "t", "y"))) == ()
    amounts = world()
    assert quadrants(amounts.score.to_numpy(), amounts.t.to_numpy(), amounts.y.to_numpy() * 2.5) == ()


def test_tenths_average_to_the_average_effect(found: UpliftResults) -> None:
    mean = sum(item.rows * item.uplift for item in found.tenths) / found.n
    assert mean == pytest.approx(found.average.value, abs=1e-9)
    assert found.tenths[0].uplift > found.tenths[-1].uplift


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_stands_alone(found: UpliftResults, language: str) -> None:
    text = render_uplift(found, language)
    assert len(text.encode()) < 2_000_000
    assert re.findall(r"(?:https?:)?//[a-z]", text) == []
    assert 'src="' not in text
    assert text.count('<svg role="img" aria-label=') == 6
    assert text.count("<script") == 1
    assert '<form id="prices" hidden>' in text, "controls wait for the script"
    assert html.unescape(text).count("EUR") > 0


def test_both_languages_say_the_same_numbers(found: UpliftResults) -> None:
    cells = {}
    for language in LANGUAGES:
        text = html.unescape(render_uplift(found, language))
        cells[language] = [
            number for cell in re.findall(r"<t[dh][^>]*>([^<]*)</t", text) for number in NUMBER.findall(cell)
        ]
    assert cells["en"] == cells["zh"]
    assert len(cells["en"]) > 100


def test_names_cannot_inject_markup() -> None:
    hostile = judged(world(800), title="<script>x</script>", names=("<b>s</b>", "</script><i>"), worth=Worth(value=1.0))
    text = render_uplift(hostile, "en")
    assert "<script>x" not in text
    assert "<b>s" not in text
    assert "<i>" not in text


def test_the_command_writes_pages_and_json(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    world(900).to_csv(rows, index=False)
    place = ["experiment", "uplift", "--rows", str(rows), "--score", "score", "--treatment", "t", "--outcome", "y"]
    run = CliRunner().invoke(build_app(), [*place, "--out", str(tmp_path / "out"), "--value-per-outcome", "5"])
    assert run.exit_code == 0, run.output
    made = json.loads((tmp_path / "out" / "uplift.json").read_text())
    assert UpliftResults.model_validate(made).money is not None
    for language in LANGUAGES:
        assert (tmp_path / "out" / f"uplift.{language}.html").is_file()
    assert "per 1,000 people" in run.stdout


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--score", "nothing"], 1, "has no column 'nothing'"),
        (["--treatment", "score"], 1, "0 and 1"),
        (["--cost-per-contact", "1"], 2, "needs --value-per-outcome"),
        (["--value-per-outcome", "1", "--currency", "DOUBLOON"], 1, "is not known"),
        (["--lang", "fr"], 2, "must be en, zh or both"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(tmp_path: Path, options: list[str], code: int, message: str) -> None:
    rows = tmp_path / "rows.parquet"
    world(300).to_parquet(rows)
    named = {"--score": "score", "--treatment": "t", "--outcome": "y"}
    given = [item for name, value in named.items() if name not in options for item in (name, value)]
    command = ["experiment", "uplift", "--rows", str(rows), *given, *options, "--out", str(tmp_path / "out")]
    run = CliRunner().invoke(build_app(), command)
    assert run.exit_code == code, run.output
    told = run.output if code == 2 else str(run.exception)
    assert message in " ".join(told.replace("│", " ").split())


def test_one_arm_alone_is_refused() -> None:
    frame = world(200)
    frame["t"] = 1.0
    with pytest.raises(DataError, match="no row is control"):
        judged(frame)


def test_the_interval_of_the_average_is_welchs(found: UpliftResults) -> None:
    frame = world()
    arms = [frame.y[frame.t == value] for value in (1.0, 0.0)]
    se = sum(arm.var(ddof=1) / len(arm) for arm in arms) ** 0.5
    assert found.average.ci[1] - found.average.ci[0] == pytest.approx(2.0 * Z * se)


def scored_spec(**changes: object) -> ExperimentSpec:
    metric = {"name": "bought", "kind": "proportion", "column": "y", "role": "primary", "value_per_unit": 10.0}
    spec = {"key": "u", "control": "A", "weights": {"A": 0.5, "B": 0.5}, "score": "score", "metrics": [metric]}
    return ExperimentSpec.model_validate({**spec, **changes})


def test_a_spec_that_names_a_score_gets_the_section_in_its_report() -> None:
    frame = world(3000)
    frame["arm"], frame["customer_id"] = np.where(frame.t == 1.0, "B", "A"), np.arange(len(frame))
    results = analyze(frame, scored_spec())
    assert results.uplift["B"].better_than_random
    assert results.uplift["B"].n == 3000
    assert results.uplift["B"].money is not None
    text = render(results, "en")
    assert "Whom to contact, by “score”: B" in html.unescape(text)
    assert 'id="h-uplift-money"' in text
    assert "<script" not in text, "the report of an experiment needs none"
    assert Results.model_validate_json(results.model_dump_json()) == results


def test_a_score_that_is_not_there_is_named_and_takes_no_verdict_away() -> None:
    frame = world(3000)
    frame["arm"], frame["customer_id"] = np.where(frame.t == 1.0, "B", "A"), np.arange(len(frame))
    plain = analyze(frame, scored_spec(score=None))
    results = analyze(frame, scored_spec(score="nowhere"))
    assert results.uplift == plain.uplift == {}
    assert results.verdict == plain.verdict
    assert [(item.code, item.segment) for item in results.refusals] == [("missing_column", "nowhere")]

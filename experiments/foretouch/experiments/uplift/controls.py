"""Prices to try on the page itself: two fields and a curve, by a few lines of script of our own.

Without scripts the controls stay hidden; the chart and the table at the stated prices are all there.
"""

from importlib.resources import files

import orjson
from markupsafe import Markup

from foretouch.experiments.report.numbers import LOCALES
from foretouch.experiments.uplift.blocks import WORDS
from foretouch.experiments.uplift.contract import UpliftResults

FIELDS = Markup(
    '<form id="prices" hidden><fieldset><legend>{legend}</legend>'
    '<label>{value} <input name="value" type="range" min="0" max="{most_value}" step="any" value="{at_value}">'
    '<output name="shown_value"></output></label>'
    '<label>{cost} <input name="cost" type="range" min="0" max="{most_cost}" step="any" value="{at_cost}">'
    '<output name="shown_cost"></output></label></fieldset>'
    '<svg viewBox="0 0 600 180" aria-hidden="true"><path class="band"/><path class="zero"/><path class="line"/>'
    '<circle r="6"/></svg><p aria-live="polite"><output name="best"></output></p></form>'
)


def controls(found: UpliftResults, language: str) -> Markup:
    """The fields, hidden until the script shows them; nothing without prices."""
    money = found.money
    if money is None:
        return Markup()
    value, cost = money.value_per_outcome, money.cost_per_contact
    return FIELDS.format(
        legend=WORDS.text("controls", language),
        value=WORDS.text("control_value", language),
        cost=WORDS.text("control_cost", language),
        at_value=value,
        at_cost=cost,
        most_value=3.0 * abs(value) or 1.0,
        most_cost=4.0 * cost or abs(value),
    )


def script(found: UpliftResults, language: str) -> Markup:
    """The script and what it reads; nothing without prices."""
    if found.money is None:
        return Markup()
    data = {
        "gain": [[point.share, point.gain, point.gain_se] for point in found.curve],
        "currency": found.money.currency,
        "locale": LOCALES[language].replace("_", "-"),
        "best": WORDS.text(
            "control_result", language, **{name: f"[{name}]" for name in ("share", "money", "low", "high")}
        ),
    }
    source = files("foretouch.experiments.uplift").joinpath("controls.js").read_text(encoding="utf-8")
    told = Markup('<div id="prices-data" hidden data-prices="{data}"></div>\n').format(data=orjson.dumps(data).decode())
    return told + Markup("<script>\n%s</script>") % Markup(source)  # noqa: S704 - our own file

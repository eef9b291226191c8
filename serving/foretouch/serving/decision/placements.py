"""Options through the rules: other offers before fallback offers, each in a placement that has room. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from foretouch.core.decisions import FeatureSnapshot
from foretouch.serving.decision.candidates import Key, Lineup
from foretouch.serving.decision.screening import Screened, screen
from foretouch.serving.decision.setting import Setting
from foretouch.serving.rules.contact import Touch
from foretouch.serving.rules.engagement import Values, rule_values


def screen_in_turn(options: Lineup, setting: Setting, features: FeatureSnapshot) -> Sequence[Screened]:
    """Every option with its slots or the rule that dropped it, in the order of the options.

    A fallback offer is considered only in a placement for which no other offer passed (without placements: at all);
    elsewhere it is dropped with stage ``fallback``.

    Args:
        options: What is asked about.
        setting: Rules, zone and expiry.
        features: The customer's, for the tiers of engagement rules.
    """
    if not options:
        return ()
    touch = setting.touch
    values = rule_values(touch.request, features, touch.counters)
    if not options.has_fallback:
        return _screen(options, setting, values)
    first = _screen(Lineup(option for option in options if not option.offer.fallback), setting, values)
    passed = [item.option for item in first if item.dropped is None]
    placements: Sequence[str | None] = touch.request.placements or (None,)
    open_to = [place for place in placements if not any(option.fits(place) for option in passed)]
    by_key = {item.option.key: item for item in first}
    needed = []
    for option in options:
        if option.key not in by_key:
            if any(map(option.fits, open_to)):
                needed.append(option)
            else:
                dropped = option.drop("fallback", "other_offers", "a fallback offer, and other offers are left")
                by_key[option.key] = Screened(option=option, dropped=dropped)
    by_key.update((item.option.key, item) for item in _screen(Lineup(needed), setting, values))
    return tuple(by_key[option.key] for option in options)


def _screen(options: Lineup, setting: Setting, values: Values) -> Sequence[Screened]:
    """Screens options; where placements have caps, in every placement that an option fits.

    Its slots are then those of any of them; the draw that fills one placement takes the slots that it has there.
    """
    if not options:
        return ()
    touch = setting.touch
    placements = touch.request.placements
    if placements is None or not has_placement_caps(touch):
        return screen(options, touch, values, setting.zone, setting.expires_at)
    found: dict[Key, Screened] = {}
    for place in placements:
        fitting = [option for option in options if option.fits(place)]
        if not fitting:
            continue
        for item in screen(fitting, replace(touch, placement=place), values, setting.zone, setting.expires_at):
            key = item.option.key
            before = found.get(key)
            if before is None or before.dropped is not None:
                found[key] = item
            elif item.slots and item.slots != before.slots:
                found[key] = item._replace(slots=tuple(sorted({*before.slots, *item.slots})))
    return tuple(found[option.key] for option in options)


def has_placement_caps(touch: Touch) -> bool:
    """Whether it matters which placement is filled."""
    return touch.capped and any(cap.scope == "placement" for cap in touch.policy.caps)

"""The effect on all units that had entered by each day."""

from foretouch.experiments.analysis.contrasts import Contrast
from foretouch.experiments.analysis.source import Source
from foretouch.experiments.results import Look


def looks(source: Source, contrasts: list[Contrast]) -> tuple[Look, ...]:
    """One look per day and contrast; days on which an arm is still too small have none."""
    days = source.days()
    found: list[Look] = []
    for contrast in contrasts if days else ():
        smallest = 1.0
        for index, effect in source.effects_through(contrast):
            smallest = min(smallest, effect.anytime_p)
            found.append(
                Look(
                    through=days[index],
                    name=contrast.metric.name,
                    contrast=contrast.name,
                    n=effect.n_control + effect.n_treatment,
                    difference=effect.difference,
                    se=effect.se,
                    ci=effect.ci,
                    p=effect.p,
                    lift=effect.lift,
                    lift_ci=effect.lift_ci,
                    anytime_ci=effect.anytime_ci,
                    anytime_lift_ci=effect.anytime_lift_ci,
                    anytime_p_at_look=effect.anytime_p,
                    anytime_p=smallest,
                )
            )
    return tuple(found)

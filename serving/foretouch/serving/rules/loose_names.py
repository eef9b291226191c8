"""Names in policy files and touchpoints that no offer answers to: nothing breaks, and nothing happens either.

A lever for a category that comes next week is no mistake, and one for a misspelt category is; nobody but the marketer
can tell them apart. So they are told, with file, line and the nearest known name, and nothing is refused. As long as
there is no offer at all, nothing is said.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from foretouch.core.config import Config
from foretouch.core.contact import ANY
from foretouch.core.expressions import nearest
from foretouch.core.offers import Catalogue
from foretouch.core.policy import PolicySpec
from foretouch.serving.rules.toml_source import TomlSource

ABOUT = ("issue", "category", "offer_id")
WEIGHTS = ("levers", "context_weights", "score_weights")


def loose_names(
    config: Config, policies: Mapping[str, PolicySpec], catalogue: Catalogue, root: Path | None = None
) -> tuple[str, ...]:
    """A sentence for each weight that no offer has, and each collection without offers.

    Args:
        config: Has touchpoints and the goals of offers.
        policies: By the file's path from the workspace, e.g. ``policies/bold.toml``.
        catalogue: The offers.
        root: The workspace, whose files' lines and columns are named.
    """
    if not catalogue.offers:
        return ()
    return tuple(_told(config, policies, catalogue, root))


def _told(config: Config, policies: Mapping[str, PolicySpec], catalogue: Catalogue, root: Path | None) -> Iterator[str]:
    known = {name: sorted({getattr(offer, name) for offer in catalogue.offers} - {""}) for name in ABOUT}
    for shown, spec in policies.items():
        source = TomlSource(None if root is None else root / shown, shown)
        for kind in WEIGHTS:
            for index, weight in enumerate(getattr(spec, kind)):
                named = {name: getattr(weight, name, ANY) for name in ABOUT}
                named = {name: value for name, value in named.items() if value != ANY}
                wrong = next((name for name, value in named.items() if value not in known[name]), None)
                if wrong is not None:
                    problem = f"{wrong} {named[wrong]!r} is not in the catalogue{nearest(named[wrong], known[wrong])}"
                elif any(all(getattr(offer, name) == v for name, v in named.items()) for offer in catalogue.offers):
                    continue
                else:
                    problem = "no offer is of " + " and ".join(f"{name} {value!r}" for name, value in named.items())
                place = (kind, index) if wrong is None else (kind, index, wrong)
                yield source.told(place, f"{kind}[{index}] changes nothing: {problem}")
    source = TomlSource(None if root is None else root / "foretouch.toml", "foretouch.toml")
    categories = known["category"]
    for name, section in config.touchpoints.items():
        if section.collection is not None and section.collection not in categories:
            problem = f"no offer is of category {section.collection!r}{nearest(section.collection, categories)}"
            yield source.told(
                ("touchpoints", name, "collection"), f"touchpoint {name!r} has no offer to make: {problem}"
            )
    for category in config.goals.offer.acceptance:
        if category not in {ANY, *categories}:
            problem = f"goals.offer.acceptance counts for nothing: no offer is of category {category!r}"
            yield source.told(("goals", "offer", "acceptance", category), f"{problem}{nearest(category, categories)}")

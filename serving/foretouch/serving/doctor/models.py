"""Models and features: what answers is loaded and proven as the service does it, and is fresh enough."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

from foretouch.core.bundle import read_aliases
from foretouch.core.errors import ForetouchError
from foretouch.core.models import MODEL_NAMES, SERVED_NAMES
from foretouch.core.state.opening import read_state
from foretouch.features.online import OnlineFeatures, online_file
from foretouch.serving.doctor.finding import Finding, Patient, fail, ok, warn
from foretouch.serving.models.bundles import load_scorers

OLD_AFTER = timedelta(days=180)
"""A model that has seen nothing of so many days is looked at by somebody; a value model's label alone takes 90."""
LOOKED_AT = 100
"""Customers whose online features are read."""


def examine_models(patient: Patient) -> Iterator[Finding]:
    """Every champion: its hashes hold, its text parses, it reproduces its golden rows bit for bit."""
    store = patient.workspace.bundles
    champions: dict[str, str] = {}
    for model in SERVED_NAMES:
        try:
            found = read_aliases(store, model).get("champion")
        except (OSError, ValueError, ForetouchError) as error:
            yield fail("models", f"{model}: its aliases cannot be read: {error}", f"foretouch train {model}")
            continue
        if found is not None:
            champions[model] = found
    scorers, refused = load_scorers(store, champions)
    for name, why in refused.items():
        yield fail("models", f"{name} {champions[name]} is refused: {why}", f"foretouch rollback {name}")
    for name, scorer in scorers.items():
        age = patient.now - scorer.card.trained_through
        text = f"{name} {scorer.card.version}, trained through {scorer.card.trained_through:%Y-%m-%d}"
        if age > OLD_AFTER:
            yield warn("models", f"{text}, {age.days} days ago", f"foretouch drift; foretouch train {name}")
        else:
            yield ok("models", text)
    missing = [name for name in MODEL_NAMES if name not in champions]
    if missing:
        step = f"foretouch train {missing[0] if len(missing) == 1 else 'all'}"
        yield warn("models", f"no champion: {', '.join(missing)}; rates and rules answer instead", step)


def examine_features(patient: Patient) -> Iterator[Finding]:
    """Online features: there, and not older than ``features.max_age_hours``."""
    path = online_file(patient.workspace)
    steps = "foretouch features build && foretouch features apply && foretouch features materialize"
    if not path.is_file():
        yield warn("features", "there are no online features: decisions are made on defaults", steps)
        return
    online = OnlineFeatures(patient.workspace)
    found = [online.read(customer, patient.now) for customer in _some_customers(patient)]
    broken = next((snapshot.error for snapshot in found if snapshot.error is not None), None)
    if broken is not None:
        yield fail("features", broken, steps)
        return
    unknown = sum(not snapshot.known for snapshot in found)
    stale = sum(bool(snapshot.stale) for snapshot in found)
    text = f"of {len(found)} customers looked at, {len(found) - unknown} have online features"
    if stale:
        hours = patient.workspace.config.features.max_age_hours
        text += f", {stale} older than features.max_age_hours ({hours:g}): their decisions are degraded"
    if stale or (unknown and unknown == len(found)):
        yield warn("features", text, steps)
    else:
        yield ok("features", text)


def _some_customers(patient: Patient) -> list[str]:
    """Customers from all over the ids."""
    connection = read_state(patient.workspace)
    if connection is None:
        return []
    with closing(connection):
        count = connection.execute("SELECT COUNT(*) FROM customers").fetchone()[0]
        rows = connection.execute(
            "SELECT customer_id FROM (SELECT customer_id, ROW_NUMBER() OVER (ORDER BY customer_id) AS position"
            " FROM customers) AS numbered WHERE position % ? = 0 ORDER BY customer_id LIMIT ?",
            (max(int(count) // LOOKED_AT, 1), LOOKED_AT),
        )
        return [str(name) for (name,) in rows.fetchall()]

"""What the offer model learns from: past touches with Feast's features, logged contacts with their own, or both.

``[training] source`` says which. ``auto`` takes the log as soon as it has ``log_rows`` mature rows, and past touches
beside it: both are rows of the same model, told apart by ``source``, and the log's count by their inverse propensity.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from foretouch.core.columns import AS_OF, CUSTOMER_ID, OFFER_ID
from foretouch.core.errors import DataError, NotFoundError
from foretouch.core.offers import Catalogue
from foretouch.core.rng import bucket
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.features.history_sample import read_sample
from foretouch.features.offers import load_catalogue
from foretouch.features.store import training_frame
from foretouch.features.tables import connect
from foretouch.training.log.documents import SALT, Artifacts
from foretouch.training.log.rows import LoggedRows, logged_rows
from foretouch.training.log.weights import effective_rows
from foretouch.training.sends import CLOSES_AT, LABEL, MAX_SENDS, pair_rows, read_sends
from foretouch.training.task import FloatArray, TrainingRun

SOURCE, WEIGHT, RANDOMISED = "source", "weight", "randomised"
TOUCHES, LOG = "touches", "log"
_SENDS: Final = [CUSTOMER_ID, OFFER_ID, AS_OF, CLOSES_AT, LABEL, RANDOMISED]


@dataclass(frozen=True, kw_only=True)
class Contacts:
    """Contacts whose label is closed, sorted by time, customer and offer.

    Attributes:
        sends: ``customer_id``, ``offer_id``, ``as_of``, ``closes_at``, ``label``, ``randomised``, ``source``,
            ``weight``.
        frame: Every feature of the same rows, with ``randomised`` and ``source``.
        description: Where they come from, for the card.
        logged: The log's rows, where it was read.
    """

    sends: pd.DataFrame
    frame: pd.DataFrame
    description: Mapping[str, Any] = field(default_factory=dict)
    logged: LoggedRows | None = None

    @property
    def weight(self) -> FloatArray | None:
        """Shape (n,); None where all rows count alike."""
        weight = self.sends[WEIGHT].to_numpy(dtype=np.float64)
        return None if (weight == 1.0).all() else weight


def read_contacts(run: TrainingRun) -> Contacts:
    """The contacts that ``[training] source`` names.

    Raises:
        DataError: There is nothing to learn from: no closed send, or too few rows in the log where it alone is asked.
        NotReadyError: Past touches need a feature history, and none is built.
    """
    workspace, section = run.workspace, run.workspace.config.training
    logged = None if section.source == "history" else logged_rows(workspace, "offer")
    mature = 0 if logged is None else len(logged.frame)
    if section.source == "log" and mature < section.log_rows:
        raise DataError(
            f"the log has {mature} mature rows to learn from, training.log_rows asks for {section.log_rows}",
            hint='let it grow, or set source = "auto" under [training] in foretouch.toml',
        )
    use_log = logged is not None and mature >= max(section.log_rows, 1)
    parts: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    if section.source != "log":
        try:
            parts.append(_touches(workspace))
        except DataError:
            if not use_log:
                raise
    if use_log and logged is not None:
        parts.append(_logged(workspace, logged))
    sends = pd.concat([part[0] for part in parts], ignore_index=True)
    frame = pd.concat([part[1] for part in parts], ignore_index=True)
    order = sends.assign(row=np.arange(len(sends))).sort_values([AS_OF, CUSTOMER_ID, OFFER_ID, "row"])["row"].to_numpy()
    if len(sends) > MAX_SENDS:
        share = MAX_SENDS / len(sends)
        kept = [bucket(SALT, str(customer)) < share for customer in sends[CUSTOMER_ID].to_numpy()[order]]
        order = order[np.asarray(kept)]
    sends, frame = sends.iloc[order].reset_index(drop=True), frame.iloc[order].reset_index(drop=True)
    return Contacts(
        sends=sends,
        frame=frame,
        description=_described(sends, section.source, logged, section.log_rows),
        logged=logged if use_log else None,
    )


def _touches(workspace: Workspace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Past touches with the features that Feast joins at their time."""
    catalogue = load_catalogue(workspace)
    with closing(connect(workspace)) as connection:
        kept = read_sample(workspace).sends
        sends = read_sends(connection, catalogue, workspace.config.goals.offer, kept=kept)
    spine = sends[[CUSTOMER_ID, AS_OF]].drop_duplicates(ignore_index=True)
    frame = pair_rows(sends, training_frame(workspace, "offer", spine), catalogue)
    frame[RANDOMISED], frame[SOURCE] = sends[RANDOMISED].to_numpy(), TOUCHES
    sends = sends[_SENDS].copy()
    sends[SOURCE], sends[WEIGHT] = TOUCHES, 1.0
    return sends, frame


def _logged(workspace: Workspace, logged: LoggedRows) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Logged contacts with the features that the service saw, and the offers as they were in the catalogue then."""
    rows = logged.frame
    known = ["offer_id", "offers_version"]
    catalogues = _catalogues(workspace, rows["offers_version"].unique().tolist())
    offers = {(offer.offer_id, version) for version, found in catalogues.items() for offer in found.offers}
    rows = rows[[key in offers for key in rows[known].itertuples(index=False, name=None)]].reset_index(drop=True)
    parts, places = [], []
    for version, found in catalogues.items():
        own = rows[rows["offers_version"] == version]
        if own.empty:
            continue
        customers = own[[CUSTOMER_ID, AS_OF, *logged.features]].drop_duplicates([CUSTOMER_ID, AS_OF])
        parts.append(pair_rows(own[[CUSTOMER_ID, OFFER_ID, AS_OF]], customers, found))
        places.append(own.index.to_numpy())
    frame = pd.concat(parts, ignore_index=True)
    frame = frame.iloc[np.argsort(np.concatenate(places), kind="stable")].reset_index(drop=True)
    frame[RANDOMISED], frame[SOURCE] = rows["randomised"].to_numpy(), LOG
    sends = rows.copy()
    sends[LABEL], sends[SOURCE] = rows["accepted"], LOG
    return sends[[*_SENDS, SOURCE, WEIGHT]], frame


def _catalogues(workspace: Workspace, versions: Sequence[str]) -> dict[str, Catalogue]:
    """Catalogues that logged decisions name; one that was not kept is left out."""
    state = read_state(workspace)
    found: dict[str, Catalogue] = {}
    if state is None:
        return found
    with closing(state):
        artifacts = Artifacts(state)
        for version in sorted(versions):
            try:
                found[version] = artifacts.catalogue(version)
            except NotFoundError:
                continue
    return found


def _described(sends: pd.DataFrame, source: str, logged: LoggedRows | None, needed: int) -> dict[str, Any]:
    """Where the rows come from, in words and numbers, for the card and MLflow."""
    used = [name for name in (TOUCHES, LOG) if (sends[SOURCE] == name).any()]
    text: dict[str, Any] = {"source": " and ".join(used), "source_asked": source}
    for name in used:
        own = sends[sends[SOURCE] == name]
        text[f"rows_from_{name}"] = f"{len(own)}, {own[LABEL].mean():.2%} accepted"
    if LOG in used:
        weight = sends.loc[sends[SOURCE] == LOG, WEIGHT].to_numpy(dtype=np.float64)
        text["log_weights"] = f"inverse propensity; {len(weight)} rows count as {effective_rows(weight):.0f}"
    if logged is not None:
        if LOG not in used:
            text["log_not_used"] = f"{len(logged.frame)} mature rows, training.log_rows asks for {needed}"
        text["log_known_until"] = logged.known_until.isoformat()
        text["log_kinds"] = {
            line.kind: {"rows": line.rows, "use": line.use, "why": line.why}
            for line in logged.counts.itertuples()
            if line.rows
        }
    return text

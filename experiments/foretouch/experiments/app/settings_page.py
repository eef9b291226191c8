"""Levers, weights, exploration and contact rules: shown to everyone who reads, changed by whoever may."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from foretouch.core.config import load_toml
from foretouch.core.contact import ContactPolicy
from foretouch.core.errors import ConfigError, ForetouchError
from foretouch.core.policy import PolicySpec
from foretouch.core.state.file_history import read_edits, read_version
from foretouch.experiments.app.settings_fields import (
    SCOPES,
    Entry,
    contact_entries,
    policy_entries,
    rows,
    with_cap,
    with_context_weight,
    with_lever,
    with_values,
    without,
)
from foretouch.experiments.app.settings_files import (
    CONTACT,
    NAME,
    POLICY,
    Editable,
    policy_file,
    policy_names,
    read_file,
    save,
)
from foretouch.experiments.app.site import Site, redirect
from foretouch.experiments.app.visit import Visit
from foretouch.experiments.app.words import say
from foretouch.serving.web.pages import PageAnswer

MOST_EDITS = 20
POLICY_TABLES = ("levers", "context_weights", "score_weights")
CONTACT_TABLES = ("caps", "cool_downs", "quiet_hours", "working_hours")
SAVED = ("saved", "unchanged", "made", "used")


@dataclass(frozen=True, kw_only=True)
class _Wrong:
    """An edit that was refused: why, and what was typed."""

    message: str
    text: str | None = None


def policy(site: Site, visit: Visit) -> PageAnswer:
    """Levers, weights and exploration of one policy."""
    return _policy(site, visit, visit.request.query.get("name", "policy"))


def rules(site: Site, visit: Visit) -> PageAnswer:
    """Caps, pauses and quiet hours."""
    return _rules(site, visit)


def _policy(site: Site, visit: Visit, name: str, wrong: _Wrong | None = None) -> PageAnswer:
    names = policy_names(site.workspace)
    file = read_file(site.workspace, policy_file(name if name in names else "policy"))
    spec, trouble = _loaded(site, file, PolicySpec)
    offers = site.plane.settings.current.catalogue.offers
    targets = [f"offer_id:{offer.offer_id}" for offer in offers]
    targets += [f"category:{item}" for item in sorted({offer.category for offer in offers if offer.category})]
    targets += [f"issue:{item}" for item in sorted({offer.issue for offer in offers if offer.issue})]
    return site.render(
        visit,
        "policy",
        status=200 if wrong is None else 422,
        names=names,
        name=name if name in names else "policy",
        spec=spec,
        groups={} if spec is None else policy_entries(spec),
        tables={} if spec is None else {table: rows(spec, table) for table in POLICY_TABLES},
        targets=targets,
        offer_names={offer.offer_id: offer.name for offer in offers},
        **_shared(site, visit, file, trouble, wrong),
    )


def _rules(site: Site, visit: Visit, wrong: _Wrong | None = None) -> PageAnswer:
    file = read_file(site.workspace, CONTACT)
    spec, trouble = _loaded(site, file, ContactPolicy)
    return site.render(
        visit,
        "rules",
        status=200 if wrong is None else 422,
        spec=spec,
        entries=[] if spec is None else contact_entries(spec),
        tables={} if spec is None else {table: rows(spec, table) for table in CONTACT_TABLES},
        scopes=SCOPES,
        **_shared(site, visit, file, trouble, wrong),
    )


def _loaded(site: Site, file: Editable, contract: Any) -> tuple[Any, str]:
    try:
        return load_toml(file.path, contract), ""
    except ConfigError as error:
        return None, site.short(error.message)


def _shared(site: Site, visit: Visit, file: Editable, trouble: str, wrong: _Wrong | None) -> dict[str, Any]:
    done = visit.request.query.get("done", "")
    return {
        "file": file,
        "text": file.text if wrong is None or wrong.text is None else wrong.text,
        "edits": read_edits(site.plane.state.read(), file.name, most=MOST_EDITS),
        "trouble": trouble,
        "wrong": None if wrong is None else wrong.message,
        "done": done if done in SAVED else "",
    }


def _written(site: Site, visit: Visit, name: str, text: Callable[[Editable], str]) -> PageAnswer:
    """Carries out an edit: on to the page on success, the page with the reason else."""
    form = visit.request.form
    policy_name = form.get("name", "policy")
    typed: str | None = None
    try:
        file = read_file(site.workspace, name)
        made = text(file)
        typed = made if "text" in form else None
        changed = save(site, visit, name, made, made_from=form.get("made_from", ""))
    except ForetouchError as error:
        wrong = _Wrong(message=site.short(error.message), text=typed)
        return _rules(site, visit, wrong) if name == CONTACT else _policy(site, visit, policy_name, wrong)
    done = "saved" if changed or "text" in form else "unchanged"
    return _on(name, policy_name, done)


def _on(name: str, policy_name: str, done: str) -> PageAnswer:
    query: dict[str, str] = {} if name == CONTACT else {"name": policy_name}
    page = "rules" if name == CONTACT else "policy"
    return redirect(f"/app/{page}?{urlencode({**query, 'done': done})}#top")


def _policy_of(visit: Visit) -> str:
    name = visit.request.form.get("name", "policy")
    return policy_file(name if NAME.fullmatch(name) else "policy")


def change_policy(site: Site, visit: Visit) -> PageAnswer:
    """Values of a policy, or a lever or weight taken off."""

    def text(file: Editable) -> str:
        spec = load_toml(file.path, PolicySpec)
        own = chain.from_iterable(policy_entries(spec).values())
        return _changed(visit, file, chain(own, _rows(spec, POLICY_TABLES)))

    return _written(site, visit, _policy_of(visit), text)


def change_rules(site: Site, visit: Visit) -> PageAnswer:
    """Values of the contact rules, or a rule taken off."""

    def text(file: Editable) -> str:
        spec = load_toml(file.path, ContactPolicy)
        return _changed(visit, file, chain(contact_entries(spec), _rows(spec, CONTACT_TABLES)))

    return _written(site, visit, CONTACT, text)


def _rows(spec: PolicySpec | ContactPolicy, tables: tuple[str, ...]) -> Iterator[Entry]:
    return (entry for table in tables for row in rows(spec, table) for entry in row["entries"])


def _changed(visit: Visit, file: Editable, entries: Iterator[Entry]) -> str:
    place = visit.request.form.get("remove")
    if place is not None:
        return without(file.text, place)
    return with_values(file.text, entries, visit.request.form)


def add_to_policy(site: Site, visit: Visit) -> PageAnswer:
    """One more lever or context weight."""
    form = visit.request.form
    adding = with_context_weight if form.get("table") == "context_weights" else with_lever
    return _written(site, visit, _policy_of(visit), lambda file: adding(file.text, form))


def add_to_rules(site: Site, visit: Visit) -> PageAnswer:
    """One more cap."""
    return _written(site, visit, CONTACT, lambda file: with_cap(file.text, visit.request.form))


def rewrite_policy(site: Site, visit: Visit) -> PageAnswer:
    """The whole text of a policy."""
    return _written(site, visit, _policy_of(visit), lambda file: _typed(visit, file))


def rewrite_rules(site: Site, visit: Visit) -> PageAnswer:
    """The whole text of the contact rules."""
    return _written(site, visit, CONTACT, lambda file: _typed(visit, file))


def _typed(visit: Visit, file: Editable) -> str:
    """What was typed, with the file's own line ends: a browser sends Windows' ones."""
    text = visit.request.form.get("text", "").replace("\r\n", "\n")
    return text.replace("\n", "\r\n") if "\r\n" in file.text else text


def revert_policy(site: Site, visit: Visit) -> PageAnswer:
    """An earlier text of a policy."""
    name = _policy_of(visit)
    return _written(site, visit, name, lambda _: _version(site, visit, name))


def revert_rules(site: Site, visit: Visit) -> PageAnswer:
    """An earlier text of the contact rules."""
    return _written(site, visit, CONTACT, lambda _: _version(site, visit, CONTACT))


def _version(site: Site, visit: Visit, name: str) -> str:
    return read_version(site.plane.state.read(), name, visit.request.form.get("version", ""))


def copy_policy(site: Site, visit: Visit) -> PageAnswer:
    """A policy under another name, to be tried in a what-if before it decides anything."""
    form = visit.request.form
    wanted = form.get("copy", "").strip()
    try:
        if not NAME.fullmatch(wanted) or wanted in {"policy", "default"}:
            raise ConfigError(say(visit.language, "wrong_name"))
        file = read_file(site.workspace, _policy_of(visit))
        save(site, visit, policy_file(wanted), file.text, made_from=None)
    except ForetouchError as error:
        return _policy(site, visit, form.get("name", "policy"), _Wrong(message=site.short(error.message)))
    return _on(POLICY, wanted, "made")


def use_policy(site: Site, visit: Visit) -> PageAnswer:
    """Puts the text of a policy in the place of the one that decides."""
    form = visit.request.form
    try:
        file = read_file(site.workspace, _policy_of(visit))
        main = read_file(site.workspace, POLICY)
        save(site, visit, POLICY, file.text, made_from=main.digest)
    except ForetouchError as error:
        return _policy(site, visit, form.get("name", "policy"), _Wrong(message=site.short(error.message)))
    return _on(POLICY, "policy", "used")

"""The rules of a workspace, checked when they are loaded: a mistake stops the start, not a decision."""

from collections.abc import Collection, Iterable
from pathlib import Path

from foretouch.core.config import Config
from foretouch.core.contact import ANY, ContactPolicy
from foretouch.core.engagement import TIERS, EngagementPolicy, EngagementRule
from foretouch.core.errors import ConfigError
from foretouch.core.expression_kinds import check_kind
from foretouch.core.expressions import ExpressionError, compile_expression, nearest
from foretouch.core.offers import Catalogue
from foretouch.serving.rules.engagement import holds_for, known_names
from foretouch.serving.rules.toml_source import TomlSource, Where
from foretouch.serving.rules.working_days import check_calendar


def check_catalogue(catalogue: Catalogue, known_features: Collection[str]) -> None:
    """Compiles every rule of a catalogue, so that a mistake is found when it is loaded.

    Args:
        catalogue: The offers.
        known_features: Names that ``feature.`` may be followed by, the scores among them.

    Raises:
        ConfigError: A rule cannot be compiled, names what is not known, or can be neither true nor false; with offer,
            line and column.
    """
    for offer in catalogue.offers:
        for tier in TIERS:
            rule: str = getattr(offer, tier)
            if rule:
                known = known_names([offer], known_features)
                where = f"offer {offer.offer_id!r}, {tier}"
                check_kind(compile_expression(rule, where=where, known=known), where)


def check_engagement(
    policy: EngagementPolicy, catalogue: Catalogue, known_features: Collection[str], file: Path | None = None
) -> None:
    """Compiles every rule of the engagement policy, and makes sure that it is about offers that there are.

    Without any offer yet, issues, categories and offer ids are not checked.

    Args:
        policy: The rules.
        catalogue: The offers that they may be about.
        known_features: Names that ``feature.`` may be followed by, the scores among them.
        file: Where the rules come from; its lines and columns are named.

    Raises:
        ConfigError: A rule cannot be compiled, can be neither true nor false, or names a feature, field, issue,
            category or offer that is not known; with file, line and column, and the nearest known name.
    """
    source = TomlSource(file)
    for index, rule in enumerate(policy.rules):
        where: Where = ("rules", index)
        for name, known in _names(catalogue) if catalogue.offers else ():
            value: str = getattr(rule, name)
            if value not in {ANY, *known}:
                problem = f"rule {rule.rule!r}: {name} == {value!r} is not in the catalogue{nearest(value, known)}"
                raise source.error((*where, name), problem)
        _check_rule(rule, index, catalogue, known_features, source)
        if rule.starts_at is not None and rule.ends_at is not None and rule.ends_at <= rule.starts_at:
            problem = f"rule {rule.rule!r}: ends_at == {rule.ends_at.isoformat()}, must be after starts_at"
            raise source.error((*where, "ends_at"), problem)


def check_contact_policy(policy: ContactPolicy, config: Config, file: Path | None = None) -> None:
    """Makes sure that every contact rule can hold: channels and calendars exist, and names tell rules apart.

    Args:
        policy: The rules.
        config: Has the channels.
        file: Where the rules come from; its lines and columns are named.

    Raises:
        ConfigError: A rule names a channel or a calendar that there is not, or two caps or cool-downs share a name;
            with file, line and column, and the nearest known name.
    """
    source = TomlSource(file)
    for kind in ("quiet_hours", "working_hours", "caps", "cool_downs"):
        for index, rule in enumerate(getattr(policy, kind)):
            for position, channel in enumerate(rule.channels):
                if channel != ANY and channel not in config.channels:
                    problem = f"rule {rule.rule!r}: channel {channel!r} is not in foretouch.toml"
                    raise source.error(
                        (kind, index, "channels", position), problem + nearest(channel, tuple(config.channels))
                    )
    for index, hours in enumerate(policy.working_hours):
        try:
            check_calendar(hours.calendar)
        except ConfigError as error:
            problem = f"rule {hours.rule!r}: {error.message}"
            raise source.error(("working_hours", index, "calendar"), problem, hint=error.hint) from None
    for kind in ("caps", "cool_downs"):
        names = [rule.rule for rule in getattr(policy, kind)]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise source.error((kind, index, "rule"), f"two of {kind} are named {name!r}; give each its own name")


def check_touchpoints(config: Config, file: Path | None = None) -> None:
    """Makes sure that touchpoints use channels that there are: a slip would silence the touchpoint for everybody.

    Args:
        config: Has touchpoints and channels.
        file: Where it comes from; its lines and columns are named.

    Raises:
        ConfigError: A touchpoint, or its default action, names a channel that there is not; with file, line and column,
            and the nearest known name.
    """
    source = TomlSource(file)
    for name, section in config.touchpoints.items():
        named: list[tuple[Where, str]] = [
            (("channels", position), channel) for position, channel in enumerate(section.channels or ())
        ]
        if section.default_action is not None and section.default_action.channel is not None:
            named.append((("default_action", "channel"), section.default_action.channel))
        for where, channel in named:
            if channel not in config.channels:
                known = tuple(config.channels)
                problem = f"touchpoint {name!r}: channel {channel!r} is not under [channels]{nearest(channel, known)}"
                raise source.error(("touchpoints", name, *where), problem)


def _check_rule(
    rule: EngagementRule, index: int, catalogue: Catalogue, features: Collection[str], source: TomlSource
) -> None:
    about = [offer for offer in catalogue.offers if holds_for(rule, offer)]
    known = known_names(about or catalogue.offers, features)
    if not catalogue.offers:
        known.pop("offer")
    try:
        check_kind(compile_expression(rule.when, where=f"rule {rule.rule!r}", known=known), f"rule {rule.rule!r}")
    except ExpressionError as error:
        problem = f"rule {rule.rule!r}: {error.problem}"
        raise source.error_inside(("rules", index, "when"), rule.when, error, problem) from None


def _names(catalogue: Catalogue) -> Iterable[tuple[str, frozenset[str]]]:
    for name in ("issue", "category", "offer_id"):
        yield name, frozenset(getattr(offer, name) for offer in catalogue.offers) - {""}

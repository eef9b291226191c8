"""What the ladder found: propensity, uplift, members and evidence per option."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from foretouch.core.decisions import Interval
from foretouch.core.offers import Offer
from foretouch.features.crosses import pair_row
from foretouch.serving.decision.candidates import Key
from foretouch.serving.models.scoring import FloatArray, Scorer

NO_UPLIFT = "no offer model took part"
DEFAULT_LEVEL = 0.95

Span = tuple[float, float]
T = TypeVar("T")
NOTHING: Mapping[str, Any] = MappingProxyType({})


class OfOffers(Mapping[Key, T], Generic[T]):
    """What is an offer's, by option: kept once per offer, whatever its treatments and channels.

    Args:
        offers: By offer.
        keys: Of the options.
    """

    __slots__ = ("_keys", "offers")

    def __init__(self, offers: Mapping[str, T] = NOTHING, keys: Sequence[Key] = ()) -> None:
        self.offers = offers
        self._keys = keys

    def get(self, key: Key, default: Any = None) -> Any:
        """What is known of an option's offer; for any option of it, as all are alike."""
        return self.offers.get(key[0], default)

    def __getitem__(self, key: Key) -> T:
        return self.offers[key[0]]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __bool__(self) -> bool:
        return bool(self.offers)


class PairRows(Mapping[Key, Mapping[str, Any]]):
    """The model's input values per option, put together when they are asked for.

    Args:
        customer: The customer's features by name.
        offers: By id.
        keys: Of the options.
        at: The decision's time.
    """

    def __init__(
        self, customer: Mapping[str, Any], offers: Mapping[str, Offer], keys: Sequence[Key], at: datetime
    ) -> None:
        self._customer = customer
        self._offers = offers
        self._keys = tuple(keys)
        self._at = at

    def __getitem__(self, key: Key) -> Mapping[str, Any]:
        if key not in self._keys:
            raise KeyError(key)
        return pair_row(self._customer, self._offers[key[0]], self._at)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


@dataclass(frozen=True, kw_only=True)
class Propensities:
    """What the ladder found.

    Attributes:
        step: The step that answered.
        reason: Why it was not a better one; empty on the first step.
        by_key: Calibrated propensity per option; None where nothing can say.
        spans: Low and high end of its interval per option; None or absent where the model has none.
        level: Of every interval.
        rows: The model's input values per option, for reasons; empty without a model.
        scorer: The model that took part.
        uplift: Uplift over no contact per option; None or absent where nothing can say.
        uplift_spans: Low and high end of its interval.
        uplift_level: Of those intervals.
        uplift_reason: Why uplift is null.
        members: Propensity per option under each bootstrap member, shape (K,) each; empty where the policy asks for
            none or the model has none.
        evidence: Contacts of anybody ever, by offer.
        immature: Offers with fewer contacts than the policy's ``mature_from``.
        smoothed: Offers whose propensity is partly their prior, because the model does not know them.
        shortfall: What the policy needs and could not have; the decision is then degraded. Empty if nothing.
        consulted: Models whose champion before the present one was asked, whatever it said: a replay needs them.
        notes: What the record and the caller should know besides.
    """

    step: str
    reason: str = ""
    by_key: OfOffers[float | None] = field(default_factory=OfOffers)
    spans: OfOffers[Span | None] = field(default_factory=OfOffers)
    level: float = DEFAULT_LEVEL
    rows: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)
    scorer: Scorer | None = None
    uplift: OfOffers[float | None] = field(default_factory=OfOffers)
    uplift_spans: OfOffers[Span | None] = field(default_factory=OfOffers)
    uplift_level: float = DEFAULT_LEVEL
    uplift_reason: str = NO_UPLIFT
    members: OfOffers[FloatArray] = field(default_factory=OfOffers)
    evidence: Mapping[str, int] = field(default_factory=dict)
    immature: frozenset[str] = frozenset()
    smoothed: tuple[str, ...] = ()
    shortfall: str = ""
    consulted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def but(self, **changes: Any) -> "Propensities":
        """The same with some fields changed; ``dataclasses.replace`` without asking every field for its value.

        Raises:
            TypeError: A change names no field.
        """
        if not changes.keys() <= Propensities.__dataclass_fields__.keys():
            raise TypeError(f"no field {sorted(changes.keys() - Propensities.__dataclass_fields__.keys())}")
        found = object.__new__(Propensities)
        found.__dict__.update(self.__dict__)
        found.__dict__.update(changes)
        return found

    @property
    def intervals(self) -> Mapping[Key, Interval | None]:
        """Interval per option, where the model has one."""
        return {key: _interval(around, self.level) for key, around in self.spans.items()}

    @property
    def uplift_intervals(self) -> Mapping[Key, Interval | None]:
        """Interval of the uplift per option, where the model has one."""
        return {key: _interval(around, self.uplift_level) for key, around in self.uplift_spans.items()}


def _interval(around: Span | None, level: float) -> Interval | None:
    return None if around is None else Interval(low=around[0], high=around[1], level=level)

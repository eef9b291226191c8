"""What a feature is, in words, and what a customer has of it. Pure."""

import math
from collections.abc import Mapping

import numpy as np

from foretouch.core.bundle import ModelInput, encode_value
from foretouch.core.config import Config
from foretouch.features.catalogue import FEATURES, features_of

CROSS_TEXTS: Mapping[str, tuple[str, str]] = {
    "offer_id": ("how this offer is usually taken", "该优惠的一贯接受程度"),
    "offer_category": ("offer category", "优惠类别"),
    "offer_days_left": ("days left of the offer", "优惠剩余天数"),
    "offer_days_running": ("days since the offer began", "优惠已进行天数"),
    "offer_duration_days": ("length of the offer in days", "优惠总天数"),
    "offer_coupons": ("coupons in the offer", "优惠券数量"),
    "offer_products": ("products in the offer", "优惠涵盖商品数"),
    "offer_value": ("margin of the offer", "优惠的利润"),
    "offer_cost": ("cost of the offer", "优惠的成本"),
    "offer_affinity": ("fit of the offer with what the customer buys", "优惠与客户购买品类的契合度"),
    "offer_affinity_ratio": ("fit of the offer, relative to a perfect one", "优惠契合度（相对最佳）"),
    "offer_favourite_share": ("offer's share in the customer's largest category", "优惠在客户最大品类中的占比"),
    "response_rate": ("customer's earlier response rate", "客户历史响应率"),
    "response_rate_category": ("customer's earlier response rate to such offers", "客户对此类优惠的历史响应率"),
}
"""What the offer's own and crossed features are, in English and Chinese."""


def feature_text(name: str, config: Config, language: str = "en") -> str:
    """What a feature is, for people: ``en`` or ``zh``; a name that no catalogue has stays as it is."""
    chinese = language.startswith("zh")
    if name in CROSS_TEXTS:
        return CROSS_TEXTS[name][1 if chinese else 0]
    spec = FEATURES.get(name) or features_of(config).get(name)
    if spec is None:
        return name.replace("_", " ")
    return spec.text_zh if chinese else spec.text_en


def value_text(column: ModelInput, value: object, config: Config, language: str = "en") -> str:
    """What a feature is and what a customer has of it, in words."""
    if math.isnan(encode_value(column, value)):
        seen = "未知" if language.startswith("zh") else "unknown"
    else:
        seen = _shown(value)
    return f"{feature_text(column.name, config, language)}: {seen}"


def _shown(value: object) -> str:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return str(value)
    number = float(value)
    return f"{number:,.0f}" if abs(number) >= 1000 or number.is_integer() else f"{number:.3g}"

"""The table of associations as a page that can be browsed: sorted and searched in the browser, nothing loaded."""

import html
from collections.abc import Mapping
from typing import Any

from foretouch.core.offers import Catalogue
from foretouch.training.associations import Associations

TITLE = {"en": "Offers that go together", "zh": "常被一起接受的优惠"}
INTRO = {
    "en": (
        "Of the customers who were sent both offers: how many accepted both, and how much more often the second was"
        " accepted by those who accepted the first (lift; 1 is no association). Lift in bold: its 95 % interval leaves"
        " out 1. An association is no effect: who likes one may like the other without being sent the first."
    ),
    "zh": (
        "仅统计两种优惠都收到过的客户：有多少人两种都接受，"
        "以及接受前者的客户接受后者的频率高出多少（提升度；1 表示无关联）。"
        "加粗表示提升度的 95% 区间不含 1。关联不等于因果：喜欢前者的客户可能本来就喜欢后者。"
    ),
}
HEADS = {
    "en": (
        "accepted",
        "also accepted",
        "sent both",
        "accepted both",
        "support",
        "confidence",
        "lift",
        "95 %",
        "shrunk",
    ),
    "zh": ("接受的优惠", "同时接受", "都收到", "都接受", "支持度", "置信度", "提升度", "95% 区间", "收缩后"),
}
FILTER = {"en": "Find an offer", "zh": "查找优惠"}
NONE = {
    "en": "No two offers were sent to enough of the same customers.",
    "zh": "没有两种优惠发给了足够多的相同客户。",
}
MOST_ROWS = 2_000
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{padding:.35rem .6rem;border-bottom:1px solid #ddd;text-align:right}"
    "th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}th{cursor:pointer;position:sticky;top:0;background:#fff}"
    "input{font:inherit;padding:.3rem .5rem;margin:.5rem 0;width:20rem;max-width:100%}"
)
_SCRIPT = """
const body=document.querySelector('tbody'),rows=[...body.rows];
document.querySelector('input').addEventListener('input',e=>{const q=e.target.value.toLowerCase();
rows.forEach(r=>r.hidden=!r.textContent.toLowerCase().includes(q))});
document.querySelectorAll('th').forEach((h,i)=>h.addEventListener('click',()=>{
const s=h.dataset.s==='-1'?1:-1;h.dataset.s=s;const v=r=>{const t=r.cells[i];return t.dataset.v??t.textContent};
rows.sort((a,b)=>{const x=v(a),y=v(b),d=x-y;return s*(Number.isNaN(d)?x.localeCompare(y):d)});
rows.forEach(r=>body.append(r))}));
"""


def associations_page(found: Associations, catalogue: Catalogue, language: str = "en") -> str:
    """One HTML page, without anything from elsewhere.

    Args:
        found: The rules.
        catalogue: For the offers' names.
        language: ``en`` or ``zh``.
    """
    names = {offer.offer_id: offer.name or offer.offer_id for offer in catalogue.offers}
    heads = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in HEADS[language])
    rules = found.rules.head(MOST_ROWS).to_dict(orient="records")
    lines = "".join(_line(rule, names) for rule in rules)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    title = html.escape(TITLE[language])
    field = f'<label>{html.escape(FILTER[language])}<br><input type="search"></label>'
    inside = (
        f"{field}{table}<script>{_SCRIPT}</script>" if len(found.rules) else f"<p>{html.escape(NONE[language])}</p>"
    )
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{html.escape(INTRO[language])}</p>{inside}</html>\n"
    )


def _line(rule: Mapping[Any, Any], names: dict[str, str]) -> str:
    def number(key: str) -> float:
        return float(rule[key])

    texts = [html.escape(names.get(str(rule[key]), str(rule[key]))) for key in ("offer_id", "then_offer_id")]
    low, high, lift = number("lift_low"), number("lift_high"), number("lift")
    told = low > 1.0 or high < 1.0
    cells = [
        *(f"<td>{text}</td>" for text in texts),
        *(f"<td>{int(number(key))}</td>" for key in ("sent_both", "accepted_both")),
        *(f'<td data-v="{number(key):.6g}">{number(key):.1%}</td>' for key in ("support", "confidence")),
        f'<td data-v="{lift:.6g}">' + (f"<b>{lift:.2f}</b>" if told else f"{lift:.2f}") + "</td>",
        f'<td data-v="{low:.6g}">' + (f"{low:.2f} … {high:.2f}" if high == high else "–") + "</td>",  # noqa: PLR0124 - NaN
        f'<td data-v="{number("lift_shrunk"):.6g}">{number("lift_shrunk"):.2f}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"

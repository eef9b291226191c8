"use strict";
{
  const data = JSON.parse(document.getElementById("prices-data").dataset.prices);
  const form = document.getElementById("prices");
  const money = new Intl.NumberFormat(data.locale, data.currency
    ? { style: "currency", currency: data.currency, maximumFractionDigits: 2 } : { maximumFractionDigits: 2 });
  const percent = new Intl.NumberFormat(data.locale, { style: "percent" });
  const draw = () => {
    const value = Number(form.elements.value.value), cost = Number(form.elements.cost.value);
    const rows = data.gain.map(([share, gain, se]) => {
      const middle = 1000 * (value * gain - cost * share), reach = 1000 * 1.959964 * value * se;
      return { share, middle, low: middle - reach, high: middle + reach };
    });
    const top = Math.max(0, ...rows.map((row) => row.high)), bottom = Math.min(0, ...rows.map((row) => row.low));
    const x = (share) => 5 + 590 * share, y = (at) => 175 - 170 * (at - bottom) / ((top - bottom) || 1);
    const path = (points) => "M" + points.map(([share, at]) => `${x(share).toFixed(1)} ${y(at).toFixed(1)}`).join("L");
    const set = (name, points) => form.querySelector(name).setAttribute("d", path(points));
    set(".line", rows.map((row) => [row.share, row.middle]));
    set(".zero", [[0, 0], [1, 0]]);
    set(".band", [...rows.map((row) => [row.share, row.high]), ...[...rows].reverse().map((row) => [row.share, row.low])]);
    const best = rows.reduce((a, b) => (b.middle > a.middle ? b : a));
    const mark = form.querySelector("circle");
    mark.setAttribute("cx", x(best.share));
    mark.setAttribute("cy", y(best.middle));
    form.elements.shown_value.value = money.format(value);
    form.elements.shown_cost.value = money.format(cost);
    form.elements.best.value = data.best.replace("[share]", percent.format(best.share))
      .replace("[money]", money.format(best.middle)).replace("[low]", money.format(best.low)).replace("[high]", money.format(best.high));
  };
  form.addEventListener("input", draw);
  form.hidden = false;
  draw();
}

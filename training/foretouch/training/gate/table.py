"""The gate's table: checks with their figures, and whether a challenger passes."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from foretouch.training.gate.words import COLUMNS, NAMES, chinese

NO_LOG: Final = "no_log"
LOG: Final = "log"
Basis = Literal["no_log", "log"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row.

    Attributes:
        check: Its name: ``baseline``, ``champion``, ``backtest``, ``calibration``, ``segment``, ``latency`` or
            ``policy``.
        what: What was looked at, e.g. ``log_loss beside points_rule``.
        passed: None only informs.
        figure: What was found, in words.
        bound: What it must be, in words.
        why: What it means, or why it could not be looked at.
    """

    check: str
    what: str
    passed: bool | None
    figure: str
    bound: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Every check of one challenger.

    Attributes:
        model: Which model.
        version: The challenger.
        champion: Whom it would replace; None for a first one.
        basis: ``no_log``: later data alone; ``log``: also what its decisions would have earned on the log.
        rows: The checks.
        fairness: Lines of the fairness report.
        policy: The valuation on the log, as ``evaluate-policy --json`` prints it; None without one.
    """

    model: str
    version: str
    champion: str | None
    basis: Basis
    rows: tuple[Check, ...]
    fairness: Sequence[dict[str, Any]] = ()
    policy: dict[str, Any] | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """Rows that stand against a promotion."""
        return tuple(row for row in self.rows if row.passed is False)

    @property
    def passed(self) -> bool:
        """Whether nothing stands against it."""
        return not self.failed

    @property
    def verdict(self) -> str:
        """``passed`` or ``refused``."""
        return "passed" if self.passed else "refused"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "model": self.model,
            "version": self.version,
            "champion": self.champion,
            "basis": self.basis,
            "passed": self.passed,
            "checks": [asdict(row) for row in self.rows],
            "fairness": list(self.fairness),
            "policy": self.policy,
        }

    def page(self) -> str:
        """As a Markdown table."""
        lines = [
            f"# Gate of {self.model} {self.version}",
            "",
            f"Beside champion: {self.champion or 'none'}. Rests on: `{self.basis}`. {self.verdict.capitalize()}.",
            "",
            "| check | what | passed | figure | bound | why |",
            "|---|---|---|---|---|---|",
            *(
                f"| {row.check} | {row.what} | {told(row.passed)} | {row.figure} | {row.bound} | {row.why} |"
                for row in self.rows
            ),
        ]
        if self.fairness:
            names = list(self.fairness[0])
            lines += ["", "## Fairness, top fifth selected", "", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
            lines += [f"| {' | '.join(_cell(line[name]) for name in names)} |" for line in self.fairness]
        return "\n".join([*lines, *self._chinese()]) + "\n"

    def _chinese(self) -> list[str]:
        """The same tables for Chinese readers."""
        heads = ("check", "what", "passed", "figure", "bound", "why")
        lines = ["", "## 中文", "", _row(COLUMNS[name] for name in heads), "|---" * len(heads) + "|"]
        for row in self.rows:
            passed = "–" if row.passed is None else "是" if row.passed else "否"
            texts = (chinese(text) for text in (row.figure, row.bound, row.why))
            lines.append(_row((NAMES.get(row.check, row.check), chinese(row.what), passed, *texts)))
        if self.fairness:
            names = list(self.fairness[0])
            lines += ["", "### 公平性（评分最高的五分之一入选）", ""]
            lines += [_row(COLUMNS.get(name, name) for name in names), "|---" * len(names) + "|"]
            lines += [_row(_cell(line[name]) for name in names) for line in self.fairness]
        return lines


def told(passed: bool | None) -> str:
    """``yes``, ``NO`` or ``–``."""
    return "–" if passed is None else "yes" if passed else "NO"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return f"{value[0]:.3g} [{value[1]:.3g}, {value[2]:.3g}]"
    return "–" if value is None else str(value)

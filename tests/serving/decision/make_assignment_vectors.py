"""Appends assignment vectors that are not there yet: python -m tests.serving.decision.make_assignment_vectors

A vector that is there is never changed: a customer who was in an arm stays in it in every later release.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "golden" / "assignment_vectors.json"
SALTS = ("always-on", "spring", "春")
WEIGHTS: tuple[dict[str, float], ...] = (
    {"control": 0.5, "treatment": 0.5},
    {"held": 0.02, "random": 0.03, "policy": 0.95},
    {"a": 0.0, "b": 1.0},
)
UNITS = ("1", "2", "10", "household-7", "客户", "a" * 256)


def expected(salt: str, unit: str, weights: dict[str, float]) -> str:
    """The arm by the written definition, with nothing but hashlib."""

    def first(*parts: str) -> int:
        body = b"".join(len(raw).to_bytes(8, "big") + raw for raw in (part.encode() for part in parts))
        return int.from_bytes(hashlib.sha256(body).digest()[:8], "big")

    position = (first(str(first(salt, unit)), "") >> 11) * 2.0**-53
    cumulated = 0.0
    for arm in sorted(weights):
        cumulated += weights[arm]
        if position < cumulated:
            return arm
    return max(weights)


def main() -> None:
    vectors: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
    known = {(item["salt"], item["unit"], json.dumps(item["weights"])) for item in vectors}
    for salt in SALTS:
        for weights in WEIGHTS:
            for unit in UNITS:
                if (salt, unit, json.dumps(weights)) not in known:
                    arm = expected(salt, unit, weights)
                    vectors.append({"salt": salt, "unit": unit, "weights": weights, "arm": arm})
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in vectors)
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()

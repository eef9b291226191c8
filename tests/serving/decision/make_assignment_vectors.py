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
LAYERS = ("portfolio", "层")
SLICES = ((0.0, 0.25), (0.25, 0.5), (0.5, 1.0))
HISTORIES: tuple[tuple[dict[str, float], ...], ...] = (
    ({"held": 0.02, "policy": 0.98}, {"held": 0.5, "policy": 0.5}),
    ({"a": 0.2, "b": 0.3, "c": 0.5}, {"a": 0.4, "b": 0.3, "c": 0.3}, {"a": 0.1, "c": 0.5, "d": 0.4}),
)


def position_of(salt: str, unit: str) -> float:
    """The position by the written definition, with nothing but hashlib."""

    def first(*parts: str) -> int:
        body = b"".join(len(raw).to_bytes(8, "big") + raw for raw in (part.encode() for part in parts))
        return int.from_bytes(hashlib.sha256(body).digest()[:8], "big")

    return (first(str(first(salt, unit)), "") >> 11) * 2.0**-53


def expected(salt: str, unit: str, weights: dict[str, float]) -> str:
    """The arm by the written definition."""
    position = position_of(salt, unit)
    cumulated = 0.0
    for arm in sorted(weights):
        cumulated += weights[arm]
        if position < cumulated:
            return arm
    return max(weights)


def expected_after(salt: str, unit: str, history: tuple[dict[str, float], ...]) -> str:
    """The arm after changes of weights, by the written definition."""
    arm = expected(salt, unit, history[0])
    for change in range(1, len(history)):
        before, after = history[change - 1], history[change]
        if after.get(arm, 0.0) >= before[arm]:
            continue
        if position_of(f"{salt}/leave/{change}", unit) < after.get(arm, 0.0) / before[arm]:
            continue
        gains = {name: max(0.0, share - before.get(name, 0.0)) for name, share in after.items()}
        position = position_of(f"{salt}/enter/{change}", unit) * sum(gains.values())
        cumulated = 0.0
        for name in sorted(gains):
            cumulated += gains[name]
            if position < cumulated:
                arm = name
                break
    return arm


def layers_and_histories() -> list[dict[str, Any]]:
    """Who takes part in a slice of a layer, and who moves when weights change."""
    vectors: list[dict[str, Any]] = []
    for layer in LAYERS:
        for unit in UNITS:
            position = position_of(f"layer/{layer}", unit)
            vectors += [
                {"layer": layer, "slice": [low, high], "unit": unit, "takes_part": low <= position < high}
                for low, high in SLICES
            ]
    for salt in SALTS:
        for history in HISTORIES:
            vectors += [
                {
                    "salt": salt,
                    "unit": unit,
                    "earlier_weights": list(history[:-1]),
                    "weights": history[-1],
                    "arm": expected_after(salt, unit, history),
                }
                for unit in UNITS
            ]
    return vectors


def main() -> None:
    vectors: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
    known = {(item.get("salt"), item["unit"], json.dumps(item.get("weights"))) for item in vectors}
    there = {json.dumps(item, sort_keys=True) for item in vectors}
    for salt in SALTS:
        for weights in WEIGHTS:
            for unit in UNITS:
                if (salt, unit, json.dumps(weights)) not in known:
                    arm = expected(salt, unit, weights)
                    vectors.append({"salt": salt, "unit": unit, "weights": weights, "arm": arm})
    vectors += [item for item in layers_and_histories() if json.dumps(item, sort_keys=True) not in there]
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in vectors)
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Writes the golden line of a stored decision of the newest version, with its record expanded beside it.

Run from the checkout's root: ``python -m tests.golden.make_stored``. Existing files are kept: a released line is never
rewritten; a change that breaks it needs a new version, and a new pair of files beside the old one.
"""

from pathlib import Path

from foretouch.core.canonical import canonical_json
from foretouch.core.decisions import ModelRef, ShadowChoice
from foretouch.core.stored_record import VERSION, StoredRecord
from foretouch.serving.decide import decide_course
from foretouch.serving.decision.record import store_course
from tests.serving.decision.stored import big_inputs, big_request

FOLDER = Path(__file__).parent / "stored"


def example() -> StoredRecord:
    """A decision of 20 offers on 3 channels, in Chinese, with a shadow and latencies."""
    request, inputs = big_request(n=2, options={"explain": "full", "language": "zh"}), big_inputs()
    shadow = ShadowChoice(policy="bold", models=(ModelRef(name="offer", version="8"),), offer_id="campaign-3")
    return store_course(request, inputs, decide_course(request, inputs)).with_fields(
        latency_ms={"features": 1.25, "queue": 0.5, "decide": 2.0},
        shadow=[shadow.model_dump(mode="json", exclude_defaults=True)],
    )


def main() -> None:
    """Writes the files that are not there yet."""
    FOLDER.mkdir(exist_ok=True)
    stored = example()
    for name, body in (("", stored.stored_bytes), (".expanded", canonical_json(stored.record))):
        path = FOLDER / f"decision_record.v{VERSION}{name}.json"
        if not path.exists():
            path.write_bytes(body + b"\n")


if __name__ == "__main__":
    main()

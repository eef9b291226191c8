"""Writes down what two hundred decisions are, so that a change of any stored or answered field is seen.

Run from the checkout's root: ``python -m tests.golden.make_digests``, after a change that is meant to be seen, and say
in its message what changed. The lines are of the program itself: they prove nothing but that it decides as it did.
"""

from pathlib import Path

from tests.serving.decision.small_worlds import digests

FILE = Path(__file__).parent / "stored" / "digests.txt"


def main() -> None:
    """Writes the file."""
    FILE.write_text("\n".join(digests()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

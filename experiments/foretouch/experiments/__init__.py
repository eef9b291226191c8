"""Experiments read from the decision log: frames, analysis, reports in English and Chinese."""

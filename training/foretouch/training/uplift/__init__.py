"""Uplift: its learners, and the curves that judge a score on randomised rows."""

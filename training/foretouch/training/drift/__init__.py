"""Drift and decay: are customers still those that a model learnt from, and do its predictions still come true?"""

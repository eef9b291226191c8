"""The rules that no score can override: who may be contacted, how often and at what hour."""

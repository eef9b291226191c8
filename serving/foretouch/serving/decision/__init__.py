"""The pure decision, step by step: candidates, screening, worth, policy, slot, and its record."""

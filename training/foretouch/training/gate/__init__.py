"""What a challenger must show before it becomes the champion: measured on later rows, kept on its card, asked about."""

from foretouch.training.gate.table import Check, Gate

__all__ = ["Check", "Gate"]

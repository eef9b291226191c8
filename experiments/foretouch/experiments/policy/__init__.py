"""What other policies would have earned: the page over training's off-policy evaluation."""

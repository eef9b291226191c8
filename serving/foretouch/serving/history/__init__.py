"""What the log is good for: replay, what-if, shadows, rewards and export."""
